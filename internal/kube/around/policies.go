package around

import (
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// policies names the network policies that treat the pods of a release otherwise
// than the pods of now: the version label is what differs. It is pure.
func policies(w Workload, list []networkingv1.NetworkPolicy) []string {
	var found []string
	for i := range list {
		p := &list[i]
		if sides := w.differs(&p.Spec.PodSelector); sides != "" {
			found = append(found, fmt.Sprintf("networkpolicy %s selects pods by %q, so during a release it would not treat the %s pods as those of now; choose another label with version-label, or select without it",
				p.Name, w.VersionLabel, sides))
			continue
		}
		for _, peer := range peers(p) {
			if peer.PodSelector == nil {
				continue
			}
			if sides := w.differs(peer.PodSelector); sides != "" {
				found = append(found, fmt.Sprintf("networkpolicy %s lets pods through by %q, so during a release it would not let the %s pods of deployment %s through; choose another label with version-label, or allow them without it",
					p.Name, w.VersionLabel, sides, w.Name))
				break
			}
		}
	}
	return found
}

func peers(p *networkingv1.NetworkPolicy) []networkingv1.NetworkPolicyPeer {
	var all []networkingv1.NetworkPolicyPeer
	for _, rule := range p.Spec.Ingress {
		all = append(all, rule.From...)
	}
	for _, rule := range p.Spec.Egress {
		all = append(all, rule.To...)
	}
	return all
}

// differs names the versions whose pods a selector treats otherwise than the pods
// of now, "" for none.
func (w Workload) differs(by *metav1.LabelSelector) string {
	selector, err := metav1.LabelSelectorAsSelector(by)
	if err != nil {
		return ""
	}
	now, stable, canary := w.labelSets()
	var sides []string
	for side, set := range map[string]labels.Set{w.Stable: stable, w.Canary: canary} {
		if selector.Matches(set) != selector.Matches(now) {
			sides = append(sides, side)
		}
	}
	if len(sides) == 2 {
		return w.Stable + " and " + w.Canary
	}
	return strings.Join(sides, "")
}

// budgets says what the disruption budgets of the namespace mean while two versions
// have pods. A release evicts nothing, so it violates none; a drain of a node may
// take what they leave. It is pure.
func budgets(w Workload, list []policyv1.PodDisruptionBudget) []string {
	var found []string
	for i := range list {
		b := &list[i]
		selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err != nil {
			continue
		}
		now, stable, canary := w.labelSets()
		switch both := selector.Matches(stable) && selector.Matches(canary); {
		case !selector.Matches(now):
		case both && b.Spec.MinAvailable != nil:
			found = append(found, fmt.Sprintf("poddisruptionbudget %s counts the pods of both versions together: with the canary's pods beside them, a drain of nodes may take as many of the stable version's; do not drain during the release",
				b.Name))
		case both:
			found = append(found, fmt.Sprintf("poddisruptionbudget %s counts the pods of both versions together: a drain of nodes may take the canary's alone, which fails the release; do not drain during it", b.Name))
		default:
			found = append(found, fmt.Sprintf("poddisruptionbudget %s selects pods by %q and protects not all of them during a release; select without it", b.Name, w.VersionLabel))
		}
	}
	return found
}
