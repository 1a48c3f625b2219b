// Package action is the edge of every use case: what stands between the code
// that does the work and the machinery that starts it, be it GitHub's runner, a
// mage target or a shell.
//
// [Run] is the whole life of one run: read the inputs, refuse all bad ones at
// once, mask secrets, do the work, set every output whatever happened, close
// what is open, and turn the outcome into an exit status. Signals become the
// context's cause. The exit table is here and nowhere else.
//
// Workflow commands (annotations, masks, groups) go through go-githubactions,
// which nothing else imports. The file commands (outputs, state, environment,
// summary) are written here: they need a random delimiter and an error when a
// file is missing, where the library has a constant and a panic.
//
// Everything that leaves passes one redactor. Without a runner the same calls
// print plain text.
package action
