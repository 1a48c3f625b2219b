package isolate

import (
	"bytes"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A cover is what a program sees instead of a file.
type cover struct {
	path    string
	content []byte
}

// credentialFiles are the variables whose files hold credentials of the job. Those
// outside of the workspace are not there for a program; those inside are empty.
var credentialFiles = []string{
	"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_FEDERATED_TOKEN_FILE",
	"CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_GHA_CREDS_PATH",
	"GIT_CONFIG_GLOBAL", "KUBECONFIG", "NETRC", "NPM_CONFIG_USERCONFIG", "npm_config_userconfig",
}

// credentials finds the files below workspace that hold credentials of the job.
func credentials(workspace string, environ []string) ([]cover, error) {
	var covers []cover
	for _, name := range credentialFiles {
		for _, path := range filepath.SplitList(variable(environ, name)) {
			path, err := filepath.EvalSymlinks(path)
			if err == nil && below(path, workspace) {
				covers = append(covers, cover{path, nil})
			}
		}
	}
	err := filepath.WalkDir(workspace, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist):
			return nil // what we cannot read, no program of ours can
		case err != nil:
			return err
		case d.Name() != ".git":
			return nil
		}
		dirs, err := gitFolders(path, d)
		for _, dir := range dirs {
			more, coverErr := gitCovers(dir)
			covers, err = append(covers, more...), errors.Join(err, coverErr)
		}
		if err == nil && d.IsDir() {
			return fs.SkipDir
		}
		return err
	})
	slices.SortFunc(covers, func(a, b cover) int { return strings.Compare(a.path, b.path) })
	return slices.CompactFunc(covers, func(a, b cover) bool { return a.path == b.path }), err
}

// gitOutside are the folders outside of the workspace that its repository needs: the
// main repository of a worktree, and the object folders that it borrows from.
func gitOutside(workspace string) ([]string, error) {
	info, err := os.Lstat(filepath.Join(workspace, ".git"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	dirs, err := gitFolders(filepath.Join(workspace, ".git"), fs.FileInfoToDirEntry(info))
	if err != nil {
		return nil, err
	}
	for _, dir := range slices.Clone(dirs) {
		raw, err := os.ReadFile(filepath.Join(dir, "objects/info/alternates"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for line := range strings.Lines(string(raw)) {
			dirs = append(dirs, absolute(strings.TrimSpace(line), filepath.Join(dir, "objects")))
		}
	}
	return slices.DeleteFunc(dirs, func(dir string) bool { return below(dir, workspace) }), nil
}

// gitFolders are the folders of a repository, given what is at .git: a folder, a link
// to one, or, in a worktree or a submodule, a file that names one.
func gitFolders(path string, d fs.DirEntry) ([]string, error) {
	if d.Type().IsRegular() {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		dir, ok := strings.CutPrefix(strings.TrimSpace(string(raw)), "gitdir: ")
		if !ok {
			return nil, nil
		}
		path = absolute(dir, filepath.Dir(path))
	}
	dir, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a worktree of another machine
	}
	if err != nil {
		return nil, err
	}
	dirs := []string{dir}
	raw, err := os.ReadFile(filepath.Join(dir, "commondir"))
	if err == nil {
		dirs = append(dirs, absolute(strings.TrimSpace(string(raw)), dir))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return dirs, nil
}

func absolute(path, dir string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// gitCovers cleans the configurations in a repository's folder, those of its
// submodules too, and covers its store of credentials.
func gitCovers(dir string) ([]cover, error) {
	var covers []cover
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		switch d.Name() {
		case "objects", "refs", "logs", "hooks", "info", "lfs":
			if d.IsDir() && isGitFolder(filepath.Dir(path)) {
				return fs.SkipDir // not a submodule of that name
			}
		case "credentials", ".git-credentials":
			covers = append(covers, cover{path, nil})
		case "config", "config.worktree":
			if !d.Type().IsRegular() {
				return nil
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if clean := cleanGitConfig(raw); !bytes.Equal(clean, raw) {
				covers = append(covers, cover{path, clean})
			}
		}
		return nil
	})
	return covers, err
}

func isGitFolder(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "HEAD"))
	return err == nil
}

// secretKeys are the keys of git's configuration that carry credentials, or name what
// gives them. extraheader is where actions/checkout leaves its token.
var secretKeys = regexp.MustCompile(`(?i)^\s*(\[[^\]]*\]\s*)?(extraheader|helper|password|username|token|oauthtoken|askpass|cookiefile|sslkey|smtppass|sshcommand)\s*(=|$)`)

// secretSections have nothing but credentials in them.
var secretSections = regexp.MustCompile(`(?i)^\s*\[\s*(credential|github|include|includeif)[\s.\]"]`)

var anySection = regexp.MustCompile(`^\s*\[`)

var urls = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'\]]+`)

// cleanGitConfig returns a git configuration without credentials.
func cleanGitConfig(raw []byte) []byte {
	var out strings.Builder
	skipping, continued := false, false
	for line := range strings.Lines(string(raw)) {
		drop := continued
		if !continued && anySection.MatchString(line) {
			skipping = secretSections.MatchString(line)
		}
		if !drop && (skipping || secretKeys.MatchString(line)) {
			drop = true
			out.WriteString(sectionOf(line, skipping)) // the keys behind it stay in it
		}
		continued = drop && strings.HasSuffix(strings.TrimRight(line, "\r\n"), `\`)
		if !drop {
			out.WriteString(urls.ReplaceAllStringFunc(line, withoutUser))
		}
	}
	return []byte(out.String())
}

// sectionOf is the section that a dropped line begins.
func sectionOf(line string, skipping bool) string {
	if i := strings.Index(line, "]"); i >= 0 && !skipping && anySection.MatchString(line) {
		return line[:i+1] + "\n"
	}
	return ""
}

// withoutUser removes the user and password of a URL. One that cannot be parsed is
// cut off before its first @.
func withoutUser(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		scheme, rest, _ := strings.Cut(raw, "://")
		if i := strings.LastIndex(rest, "@"); i >= 0 {
			rest = rest[i+1:]
		}
		return scheme + "://" + rest
	}
	if u.User == nil {
		return raw
	}
	u.User = nil
	return u.String()
}

// below reports whether path is folder or in it.
func below(path, folder string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(rel)
}
