package gitops

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const sum = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func edit(t *testing.T, file, field, image string) (string, error) {
	t.Helper()
	f, err := ParseField(field)
	if err != nil {
		t.Fatal(err)
	}
	out, err := Edit([]byte(file), f, image)
	return string(out), err
}

// All but the field stays: comments, odd indentation, quotes, blank lines, line ends,
// a missing last newline.
func TestEditKeepsEveryOtherByte(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ field, image, before, after string }{
		"a path": {
			"spec.template.spec.containers[name=app].image", "reg.example/web:2",
			"# top\nkind: Service\n---\nkind: Deployment  # the app\nspec:\n    template:\n        spec:\n            containers:\n            -   name: proxy\n                image: envoy:1\n\n            -   name: app\n                image:   reg.example/web:1   # release\n                args: [ \"a\",'b' ]\n...\n",
			"# top\nkind: Service\n---\nkind: Deployment  # the app\nspec:\n    template:\n        spec:\n            containers:\n            -   name: proxy\n                image: envoy:1\n\n            -   name: app\n                image:   reg.example/web:2   # release\n                args: [ \"a\",'b' ]\n...\n",
		},
		"an index, quotes, no last newline":  {"images[1].tag", "web:2.0", "images:\r\n- tag: a\r\n- tag: 'b'", "images:\r\n- tag: a\r\n- tag: '2.0'"},
		"a value that is a number":           {"image.tag", "web:1.10", "image:\n  tag: 1.9 # was a number\n", "image:\n  tag: \"1.10\" # was a number\n"},
		"behind characters of several bytes": {"a.image", "web:2", "a: {ü: 'ä', image: \"web:1\", z: 1}\n", "a: {ü: 'ä', image: \"web:2\", z: 1}\n"},
		"helm, with a registry":              {"web.image", "reg.example/shop/web:2", "web:\n  image:\n    registry: reg.example\n    repository: shop/web\n    tag: \"1\"\n", "web:\n  image:\n    registry: reg.example\n    repository: shop/web\n    tag: \"2\"\n"},
		"helm, by digest":                    {"image", "web:2@" + sum, "image: {repository: web, tag: \"1\", digest: \"\"}\n", "image: {repository: web, tag: \"2\", digest: \"" + sum + "\"}\n"},
		"helm, back to a tag":                {"image", "web:3", "image:\n  repository: web\n  tag: \"2\"\n  digest: " + sum + "\n", "image:\n  repository: web\n  tag: \"3\"\n  digest: \"\"\n"},
		"kustomize": {
			"kustomize:web", "reg.example/web:2",
			"images:\n- name: other\n  newTag: v1\n- name: web # ours\n  newName: reg.example/web\n  newTag: v1\nresources: [../base]\n",
			"images:\n- name: other\n  newTag: v1\n- name: web # ours\n  newName: reg.example/web\n  newTag: \"2\"\nresources: [../base]\n",
		},
		"kustomize, keys that it lacks":                     {"kustomize:web", "reg.example/web:v2", "images:\r\n  - name: web\r\nx: 1\r\n", "images:\r\n  - name: web\r\n    newName: reg.example/web\r\n    newTag: v2\r\nx: 1\r\n"},
		"kustomize, from tag to digest":                     {"kustomize:web", "web:2@" + sum, "images:\n- name: web\n  newTag: v1 # last\n  # end\nx: 1\n", "images:\n- name: web\n  digest: " + sum + " # last\n  # end\nx: 1\n"},
		"kustomize, from digest to tag, and it comes first": {"kustomize:web", "web:v2", "images:\n- digest: " + sum + "\n  name: web\n", "images:\n- newTag: v2\n  name: web\n"},
		"kustomize, both":                                   {"kustomize:web", "web:v2", "images:\n- name: web\n  digest: " + sum + " # pinned\n  newTag: v1\n", "images:\n- name: web\n  newTag: v2\n"},
		"kustomize, from digest to tag":                     {"kustomize:web", "web:v2", "images:\n- name: web\n  digest: " + sum + "\n", "images:\n- name: web\n  newTag: v2\n"},
	} {
		got, err := edit(t, c.before, c.field, c.image)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.after, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if again, err := edit(t, got, c.field, c.image); err != nil || again != got {
			t.Errorf("%s: the second time: %v\n%s", name, err, again)
		}
	}
}

// What cannot be edited safely is an error that says why.
func TestEditRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ field, image, file, want string }{
		"no such key":           {"image.tag", "web:2", "a: 1\n", "field image.tag: the file has no image"},
		"no such entry":         {"c[name=app].image", "web:2", "c: [{name: web}]\n", "has no entry with name=app"},
		"no such index":         {"c[3]", "web:2", "c: [a]\n", "has no entry 3"},
		"two documents":         {"image", "web:2", "image: a\n---\nimage: b\n", "2 documents of the file have it"},
		"an alias":              {"b", "web:2", "a: &x web:1\nb: *x\n", "line 2 is no scalar"},
		"an alias on the way":   {"b.image", "web:2", "a: &x {image: web:1}\nb: *x\n", "line 2 is an alias"},
		"an anchor":             {"a", "web:2", "a: &x web:1\nb: *x\n", "line 1 is written in a way"},
		"escapes":               {"a", "web:2", `a: "web\x3a1"` + "\n", "line 1 is written in a way"},
		"a block":               {"a", "web:2", "a: |\n  web:1\n", "line 1 is written in a way"},
		"nothing":               {"a", "web:2", "a:\nb: 1\n", "line 1 has no value"},
		"an empty file":         {"a", "web:2", "# nothing\n", "the file is empty"},
		"no YAML":               {"a", "web:2", "a: [\n", "read the YAML"},
		"a tag for a digest":    {"image.digest", "web:2", "image: {digest: x}\n", "takes a digest"},
		"a digest for a tag":    {"image.tag", "web:2@" + sum, "image: {tag: x}\n", "takes a tag alone"},
		"no tag in the mapping": {"image", "web:2", "image: {repository: web}\n", "neither tag nor digest"},
		"kustomize elsewhere":   {"kustomize:web", "web:2", "images: [{name: api}]\n", "no entry of images with name: web"},
		"kustomize in braces":   {"kustomize:web", "web:2", "images: [{name: web}]\n", "cannot be added or removed in braces"},
		"the digest comes first": {
			"kustomize:web", "web:2", "images:\n- digest: " + sum + "\n  name: web\n  newTag: v1\n", "cannot be removed, the line has more",
		},
	} {
		if _, err := edit(t, c.file, c.field, c.image); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

func TestParseField(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"", ".", "a.", "a..b", "a[", "a[x]", "a[=b]", "a[-1]", "[0]", "kustomize:"} {
		if f, err := ParseField(wrong); err == nil {
			t.Errorf("ParseField(%q) = %+v, want an error", wrong, f)
		}
	}
	for _, right := range []string{"image", "a.b[0][name=x].c", "kustomize:reg.example/web"} {
		if f, err := ParseField(right); err != nil || f.String() != right {
			t.Errorf("ParseField(%q): %v", right, err)
		}
	}
}

// Whatever the file is, an edit has the image and nothing else changed, or it is an
// error.
func FuzzEdit(f *testing.F) {
	f.Add("image: web:1 # x\n", "image")
	f.Add("images:\n- name: web\n  newTag: a\n", "kustomize:web")
	f.Add("a: {image: \"web:1\"}", "a.image")
	f.Fuzz(func(t *testing.T, file, field string) {
		parsed, err := ParseField(field)
		if err != nil {
			return
		}
		out, err := Edit([]byte(file), parsed, "web:2")
		if err != nil {
			return
		}
		again, err := Edit(out, parsed, "web:2")
		if err != nil || string(again) != string(out) {
			t.Errorf("Edit(%q, %s) = %q, and then %q, %v", file, field, out, again, err)
		}
	})
}
