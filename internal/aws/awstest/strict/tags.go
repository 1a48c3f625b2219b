package strict

import (
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A tag is one of CloudFormation's or S3's.
type tag struct{ Key, Value string }

// tagText are the characters of tags.
// https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
var tagText = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// tagRules refuses tags that no service takes.
func tagRules(all []tag) *refusal {
	seen := map[string]bool{}
	for _, t := range all {
		switch keys, values := utf8.RuneCountInString(t.Key), utf8.RuneCountInString(t.Value); {
		case keys < 1 || keys > 128:
			return invalid("The tag key must be between 1 and 128 characters: '%s'", t.Key)
		case values > 256:
			return invalid("The tag value must be at most 256 characters: '%s'", t.Value)
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return invalid("aws: prefixed tag key names are not allowed for external use.")
		case !tagText.MatchString(t.Key):
			return invalid("The TagKey you have provided is invalid: '%s'", t.Key)
		case !tagText.MatchString(t.Value):
			return invalid("The TagValue you have provided is invalid: '%s'", t.Value)
		case seen[t.Key]:
			return invalid("Cannot provide multiple Tags with the same key: '%s'", t.Key)
		}
		seen[t.Key] = true
	}
	return nil
}

// invalid is CloudFormation's error for most of what is wrong in a request.
func invalid(format string, args ...any) *refusal {
	return refuse(http.StatusBadRequest, "ValidationError", format, args...)
}
