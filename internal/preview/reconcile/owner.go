// Package reconcile brings the preview of a pull request to its desired state: a site
// and an API stack that live and end together. It decides and verifies; the four
// interfaces it declares, met by the package preview, act on GitHub, Netlify, AWS and a
// browser.
//
// A preview converges: Up brings its parts from any state to the pull request's commit,
// and Down removes them and verifies that they are gone. Three rules prevent orphaned
// previews and outdated reports:
//
//   - the pull request is read again before anything is created, after it is ready, and
//     before the comment is written: it must be open, at the same commit. A superseded
//     run deletes its own deploy and reports that;
//   - only resources with all of our tags are touched: repository, pull request, who
//     created them and until when. One that lacks a tag is refused;
//   - the comment shows verified facts: responses with the commit, and for removed parts
//     that they no longer answer.
package reconcile

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// A Key names the preview of one pull request.
type Key struct {
	Repository string // owner/name
	Number     int
}

// String is owner/name#n.
func (k Key) String() string { return fmt.Sprintf("%s#%d", k.Repository, k.Number) }

// Alias is the preview's alias on Netlify.
func (k Key) Alias() string { return fmt.Sprintf("pr-%d", k.Number) }

// aliasForm is an alias that a preview could have.
var aliasForm = regexp.MustCompile(`^pr-[0-9]+$`)

// StackPrefix begins the names of all API stacks.
const StackPrefix = "candlefish-api-preview-pr-"

// Stack is the name of its API stack.
func (k Key) Stack() string { return StackPrefix + strconv.Itoa(k.Number) }

// Environment is the name of its environment on GitHub.
func (k Key) Environment() string { return fmt.Sprintf("preview/pr-%d", k.Number) }

// An Owner marks everything that belongs to a preview.
type Owner struct {
	Key
	Commit  string
	Expires time.Time
}

// managedBy is the value of the tag ManagedBy.
const managedBy = "candlefish-deploy-action"

// The tags of an AWS resource.
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

// Tags returns the owner as tags.
func (o Owner) Tags() map[string]string {
	return map[string]string{
		tagEnvironment: "preview", tagNumber: strconv.Itoa(o.Number), tagCleanup: "true", tagCreatedBy: "github-actions",
		tagManagedBy: managedBy, tagRepository: o.Repository, tagCommit: o.Commit, tagExpires: o.Expires.UTC().Format(time.RFC3339),
	}
}

// SharedTags returns the tags of what all previews share: the bucket of artifacts.
func SharedTags() map[string]string {
	return map[string]string{tagManagedBy: managedBy, tagEnvironment: "preview", tagCleanup: "true"}
}

// CleanupTags returns the tags that all resources of all previews have until they are
// released.
func CleanupTags() map[string]string {
	return map[string]string{tagManagedBy: managedBy, tagCleanup: "true"}
}

// ReleasedTags returns the tags of a resource that no clean-up may touch any more.
func ReleasedTags() map[string]string { return map[string]string{tagCleanup: "false"} }

// OwnerOf reads an owner from tags. The error says which tag is missing or invalid:
// such a resource is not ours.
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

// Owns returns an error for tags that are not those of this preview.
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

// Title returns the owner as the title of a Netlify deploy, which has no tags.
func (o Owner) Title() string {
	return fmt.Sprintf("Preview for PR #%d of %s at %s, until %s, by %s", o.Number, o.Repository, o.Commit, o.Expires.UTC().Format(time.RFC3339), managedBy)
}

var title = regexp.MustCompile(`^Preview for PR #([0-9]+) of (\S+/\S+) at ([0-9a-f]{40}), until (\S+), by ` + managedBy + `$`)

// OwnerOfTitle reads an owner from a deploy's title and alias, which must agree.
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
