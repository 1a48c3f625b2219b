// Package action connects every use case with its caller: GitHub's runner, a
// mage target or a shell.
//
// [Run] executes one run: it parses the inputs and reports all input errors
// together, masks secrets, does the work, sets every output whatever happened,
// closes the open group and returns the exit status. A signal cancels the
// context and becomes its cause. Package exit has the exit table.
//
// Workflow commands (annotations, masks, groups) go through go-githubactions,
// which nothing else imports. This package writes the file commands (outputs,
// state, environment, summary) itself: they need a random delimiter and an
// error when a file is missing; the library has a constant delimiter and
// panics.
//
// One redactor filters all output. Without a runner the same calls print plain
// text.
package action
