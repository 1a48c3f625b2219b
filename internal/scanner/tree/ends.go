package tree

// Ends are the commits to scan, as an event or a person names them.
type Ends struct {
	Base string // "" for all of the history
	Head string
	Why  string // in words: "the pull request's base and head"
	// Gone says that Base may have been removed by a forced push. Then all of the
	// history of Head is scanned, which has more and never less.
	Gone bool
}

// All are the ends for the whole history of a commit.
func All(head, why string) Ends { return Ends{Head: head, Why: why} }
