package inputs

import (
	"fmt"
	"strings"

	"github.com/candlefish/deploy-action/internal/input"
)

// imagesAllowed describes a line of the input images.
const imagesAllowed = "name=image, with a container's name and an image with a tag or digest"

// images returns the images of containers and init containers by name.
func images(v input.Values) (map[string]string, input.Problems) {
	var byName map[string]string
	var problems input.Problems
	for _, line := range v.List("images") {
		wrong := func(reason string) {
			problems = append(problems, input.Problem{Name: "images", Source: v.Source("images"), Value: line, Reason: reason, Allowed: imagesAllowed})
		}
		name, image, ok := strings.Cut(line, "=")
		name, image = strings.TrimSpace(name), strings.TrimSpace(image)
		switch {
		case !ok || len(name) > input.FormLabel.Max || !input.FormLabel.Pattern.MatchString(name):
			wrong("it does not begin with the name of a container and =")
		case !input.FormImage.Pattern.MatchString(image):
			wrong("the image must be " + input.FormImage.Want)
		case byName[name] != "" && byName[name] != image:
			wrong(fmt.Sprintf("container %s already has the image %s", name, byName[name]))
		default:
			if byName == nil {
				byName = map[string]string{}
			}
			byName[name] = image
		}
	}
	return byName, problems
}
