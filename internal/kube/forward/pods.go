package forward

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/candlefish/deploy-action/internal/kube"
)

// A Pod is a ready pod, and the port that its Service sends requests to.
type Pod struct {
	Name     string
	Restarts int
	Port     int
}

// Ready lists the ready pods of a ReplicaSet, by name, with the port that a Service
// sends requests to: its port named http, else its first one.
func Ready(ctx context.Context, c *kube.Cluster, namespace, service, replicaSetUID string) ([]Pod, error) {
	var pods []Pod
	err := kube.Retry(ctx, func(ctx context.Context) error {
		s, err := c.Typed.CoreV1().Services(namespace).Get(ctx, service, metav1.GetOptions{})
		if err != nil {
			return err
		}
		list, err := c.Typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		pods, err = ready(s, list.Items, types.UID(replicaSetUID))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the pods behind service %s/%s: %w", namespace, service, err)
	}
	return pods, nil
}

func ready(s *corev1.Service, all []corev1.Pod, owner types.UID) ([]Pod, error) {
	if len(s.Spec.Ports) == 0 {
		return nil, fmt.Errorf("service %s has no ports", s.Name)
	}
	port := s.Spec.Ports[max(0, slices.IndexFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == "http" }))]
	var pods []Pod
	for i := range all {
		pod := &all[i]
		ref := metav1.GetControllerOf(pod)
		if ref == nil || ref.UID != owner || pod.DeletionTimestamp != nil || !kube.PodReady(pod) {
			continue
		}
		number, err := target(port, pod)
		if err != nil {
			return nil, err
		}
		p := Pod{Name: pod.Name, Port: number}
		for _, status := range pod.Status.ContainerStatuses {
			p.Restarts += int(status.RestartCount)
		}
		pods = append(pods, p)
	}
	slices.SortFunc(pods, func(a, b Pod) int { return strings.Compare(a.Name, b.Name) })
	return pods, nil
}

// target returns the number of the port of a pod that a Service's port leads to.
func target(port corev1.ServicePort, pod *corev1.Pod) (int, error) {
	if port.TargetPort.Type == intstr.Int {
		if n := port.TargetPort.IntValue(); n != 0 {
			return n, nil
		}
		return int(port.Port), nil
	}
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name == port.TargetPort.StrVal {
				return int(p.ContainerPort), nil
			}
		}
	}
	return 0, fmt.Errorf("pod %s has no port %q, which the Service leads to", pod.Name, port.TargetPort.StrVal)
}
