// Package preview keeps one preview for each pull request: a site on Netlify and
// an API stack on AWS, as one thing with one life. It is the use case of the action
// pr-preview and of the mage targets preview:up, preview:down, preview:status and
// preview:sweep.
//
// A preview converges: whatever state its parts are in, up brings them to the
// commit that the pull request is at, and down removes them and looks whether they
// are gone. Three rules keep it from coming back after its end, or from showing
// what is no longer true:
//
//   - before anything is created, after it is ready, and before anything is said,
//     the pull request is looked at again: it has to be open, at the same commit.
//     A run that was overtaken deletes its own deploy and says so;
//   - what is touched carries all of our tags: repository, pull request, who made
//     it and until when. What lacks one is refused;
//   - what a comment shows was checked: answers that carry the commit, and for
//     what was removed, that it no longer answers.
package preview

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Key names the preview of one pull request.
type Key struct {
	Repository string // owner/name
	Number     int
}

func (k Key) String() string { return fmt.Sprintf("%s#%d", k.Repository, k.Number) }

// Alias is the preview's name on Netlify.
func (k Key) Alias() string { return fmt.Sprintf("pr-%d", k.Number) }

// stackPrefix begins the names of all API stacks.
const stackPrefix = "candlefish-api-preview-pr-"

// Stack is the name of its API stack.
func (k Key) Stack() string { return stackPrefix + strconv.Itoa(k.Number) }

// Environment is its environment on GitHub.
func (k Key) Environment() string { return fmt.Sprintf("preview/pr-%d", k.Number) }

// An Owner is what is written on everything that belongs to a preview.
type Owner struct {
	Key
	Commit  string
	Expires time.Time
}

// managedBy says who made a thing, as a tag.
const managedBy = "candlefish-deploy-action"

// The tags of an AWS resource. The first four are the seed's.
const (
	tagEnvironment = "Environment"
	tagNumber      = "PRNumber"
	tagCleanup     = "AutoCleanup"
	tagCreatedBy   = "CreatedBy"
	tagManagedBy   = "ManagedBy"
	tagRepository  = "Repository"
	tagCommit      = "CommitSha"
	tagExpires     = "ExpiresAt"
)

// Tags are the owner as tags.
func (o Owner) Tags() map[string]string {
	return map[string]string{
		tagEnvironment: "preview", tagNumber: strconv.Itoa(o.Number), tagCleanup: "true", tagCreatedBy: "github-actions",
		tagManagedBy: managedBy, tagRepository: o.Repository, tagCommit: o.Commit, tagExpires: o.Expires.UTC().Format(time.RFC3339),
	}
}

// OwnerOf reads an owner from tags. An error says which tag is missing or odd:
// such a thing is not ours, or not only.
func OwnerOf(tags map[string]string) (Owner, error) {
	var o Owner
	if tags[tagManagedBy] != managedBy {
		return o, fmt.Errorf("tag %s is %q, not %q", tagManagedBy, tags[tagManagedBy], managedBy)
	}
	if tags[tagCleanup] != "true" {
		return o, fmt.Errorf("tag %s is %q, not \"true\"", tagCleanup, tags[tagCleanup])
	}
	n, err := strconv.Atoi(tags[tagNumber])
	if err != nil || n < 1 {
		return o, fmt.Errorf("tag %s is %q, not a number", tagNumber, tags[tagNumber])
	}
	if tags[tagRepository] == "" {
		return o, fmt.Errorf("tag %s is missing", tagRepository)
	}
	expires, err := time.Parse(time.RFC3339, tags[tagExpires])
	if err != nil {
		return o, fmt.Errorf("tag %s is %q, not a time", tagExpires, tags[tagExpires])
	}
	return Owner{Key: Key{tags[tagRepository], n}, Commit: tags[tagCommit], Expires: expires}, nil
}

// Owns refuses tags that are not those of this preview.
func (k Key) Owns(tags map[string]string) error {
	o, err := OwnerOf(tags)
	if err != nil {
		return fmt.Errorf("not a preview of ours: %w", err)
	}
	if o.Key != k {
		return fmt.Errorf("it belongs to the preview of %s, not of %s", o.Key, k)
	}
	return nil
}

// Title is the owner as the title of a Netlify deploy, which has no tags.
func (o Owner) Title() string {
	return fmt.Sprintf("Preview for PR #%d of %s at %s, until %s, by %s", o.Number, o.Repository, o.Commit, o.Expires.UTC().Format(time.RFC3339), managedBy)
}

var title = regexp.MustCompile(`^Preview for PR #([0-9]+) of (\S+/\S+) at ([0-9a-f]{40}), until (\S+), by ` + managedBy + `$`)

// OwnerOfTitle reads an owner from a deploy's title and alias, which have to agree.
func OwnerOfTitle(text, alias string) (Owner, error) {
	m := title.FindStringSubmatch(text)
	if m == nil {
		return Owner{}, fmt.Errorf("title %q is not one of ours", text)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return Owner{}, fmt.Errorf("title %q has no number", text)
	}
	expires, err := time.Parse(time.RFC3339, m[4])
	if err != nil {
		return Owner{}, fmt.Errorf("title %q has no time", text)
	}
	o := Owner{Key: Key{m[2], n}, Commit: m[3], Expires: expires}
	if alias != o.Alias() {
		return Owner{}, fmt.Errorf("title %q is on alias %q, not %q", text, alias, o.Alias())
	}
	return o, nil
}

// short is a commit as people write it.
func short(commit string) string { return commit[:min(7, len(commit))] }

// cut shortens text to n characters, at a line if there is one.
func cut(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	head := string(runes[:n])
	if i := strings.LastIndexByte(head, '\n'); i > 0 {
		head = head[:i]
	}
	return head
}
