package workload

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/candlefish/deploy-action/internal/release"
)

// Template returns the pod template that a release gives its new pods, from the
// live template of the user's workload: the recorded one, or the live one with
// the recorded images. The version label is that of the live template.
//
// A live template that only gets images keeps the annotation of kubectl rollout
// restart: the two templates must differ only in the images.
func Template(record *release.Record, live corev1.PodTemplateSpec) (corev1.PodTemplateSpec, error) {
	template := *live.DeepCopy()
	if len(record.Template) > 0 {
		template = corev1.PodTemplateSpec{}
		if err := json.Unmarshal(record.Template, &template); err != nil {
			return template, fmt.Errorf("decode the pod template of the release record: %w", err)
		}
		delete(template.Labels, record.VersionLabel)
		if value, ok := live.Labels[record.VersionLabel]; ok {
			if template.Labels == nil {
				template.Labels = map[string]string{}
			}
			template.Labels[record.VersionLabel] = value
		}
	}
	images := record.Images()
	for _, containers := range [][]corev1.Container{template.Spec.InitContainers, template.Spec.Containers} {
		for i := range containers {
			if image := images[containers[i].Name]; image != "" {
				containers[i].Image = image
			}
		}
	}
	return template, nil
}
