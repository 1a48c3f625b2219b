package bundle

// Settings is for fuzzing.
var Settings = settings
