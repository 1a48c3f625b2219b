package release

import (
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/fleet"
)

// A Group is one release of several members, each with a record of its own. Every
// record has the whole group, so that another process finds the others by any of
// them.
type Group struct {
	ID     string `json:"id"`     // of the run that started it
	Member string `json:"member"` // the name of this record's member
	// Together, Bake and OnFailure are those of the fleet.Plan.
	Together  bool          `json:"together"`
	Bake      time.Duration `json:"bake,omitempty"`
	OnFailure fleet.Policy  `json:"on_failure"`
	Members   []GroupMember `json:"members"` // in the order of their waves
}

// A GroupMember is one Deployment on one cluster. An empty Cluster is the cluster of
// the process that reads it.
type GroupMember struct {
	Name       string `json:"name"`
	Wave       int    `json:"wave,omitempty"` // from 0
	Over       []int  `json:"over,omitempty"` // see fleet.Member
	Cluster    string `json:"cluster,omitempty"`
	Context    string `json:"context,omitempty"` // in a kubeconfig
	EKSCluster string `json:"eks_cluster,omitempty"`
	Region     string `json:"region,omitempty"` // of EKSCluster
	Namespace  string `json:"namespace"`
	Deployment string `json:"deployment"`
	Image      string `json:"image"`
}

// Plan returns the order of the group.
func (g *Group) Plan() fleet.Plan {
	p := fleet.Plan{Together: g.Together, Bake: g.Bake, OnFailure: g.OnFailure}
	for _, m := range g.Members {
		p.Members = append(p.Members, fleet.Member{Name: m.Name, Wave: m.Wave, Over: m.Over})
	}
	return p
}

// Continues reports whether two groups bring the same images to the same members in the
// same order: the later one can go on with what the earlier one left.
func (g *Group) Continues(other *Group) bool {
	return g.Together == other.Together && slices.EqualFunc(g.Members, other.Members, func(a, b GroupMember) bool {
		return a.Name == b.Name && a.Wave == b.Wave && a.Namespace == b.Namespace && a.Deployment == b.Deployment && a.Image == b.Image && slices.Equal(a.Over, b.Over)
	})
}

// MemberPhase returns where the member of a record is while nobody drives it. The
// record of another release, or none, is of a member that was not started.
func MemberPhase(r *Record, group string) fleet.Phase {
	switch {
	case r == nil || r.Group == nil || r.Group.ID != group:
		return fleet.Waiting
	case r.Warm() || r.State.Phase == rollout.PhaseBaking || r.State.Phase == rollout.PhasePaused && r.State.Leftover == rollout.LeftoverPrevious:
		return fleet.Warm
	case r.State.Phase == rollout.PhasePromoted && r.State.Leftover == "":
		return fleet.Done
	case r.State.Phase == rollout.PhaseAborted && r.State.Leftover == "":
		return fleet.Back
	case r.State.Phase == rollout.PhaseReverting || r.State.Phase == rollout.PhaseAborting || r.State.Phase == rollout.PhaseAborted || r.State.Reverted:
		return fleet.Left // on its way back: whoever goes on finishes that first
	case r.State.Phase == rollout.PhasePaused:
		return fleet.Paused
	}
	return fleet.Left
}
