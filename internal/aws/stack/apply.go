package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/bucket"
	"github.com/candlefish/deploy-action/internal/aws/stack/template"
)

// A Spec is the desired state of a stack.
type Spec struct {
	Name         string
	Template     []byte // YAML or JSON
	Parameters   map[string]string
	Tags         map[string]string
	Capabilities []string // such as CAPABILITY_NAMED_IAM, which named roles need
	// Bucket holds templates over 51,200 bytes, below Prefix, keyed by the hash of
	// their content. Without it such a template is an error.
	Bucket *bucket.Bucket
	Prefix string
	// Protect turns termination protection on. False leaves it as it is.
	Protect bool
	// Token tells this run from all others, such as run id and attempt. It
	// names the change set and marks the events.
	Token string
	// Event receives events as they happen, each once, oldest first; may be
	// nil.
	Event func(Event)
	// Owned refuses, with a reason, an existing stack that is not ours, by its
	// tags. It is required.
	Owned func(tags map[string]string) error
	// Wait is the limit of one operation; 30 minutes if 0.
	Wait time.Duration
}

// A Change is one change of a change set.
type Change struct {
	Action      string // Add, Modify, Remove
	LogicalID   string
	Type        string
	Replacement string // True, False, Conditional, or ""
}

// Applied is the result of Apply.
type Applied struct {
	Stack
	Changed bool
	Changes []Change
	// Missing are the logical ids of resources that the template has and that do
	// not exist although the stack is complete.
	Missing []string
	// Resources are the physical ids of what exists, by logical id.
	Resources map[string]string
	// Left are resources of a failed stack of the same name that was deleted
	// first, and that could not be deleted.
	Left []string
}

// Apply brings a stack to its desired state, from whatever state it is in: it waits
// for a running operation, finishes a failed rollback or deletion, and deletes what
// a failed creation left. All changes are made by one change set; an empty one is
// success.
//
// A creation that fails is rolled back and not deleted at once: the empty stack
// keeps its events for diagnosis, and the next run deletes it. An update that fails
// is rolled back.
//
// It returns an *Error when CloudFormation failed, ErrRunning when the wait ended
// first, and aws.ErrNotOurs for a stack that Owned refuses.
func Apply(ctx context.Context, a *aws.Account, spec Spec) (Applied, error) {
	if spec.Name == "" || spec.Token == "" || spec.Owned == nil {
		return Applied{}, errors.New("a stack needs a name, a token and a check of ownership")
	}
	t, err := template.Parse(spec.Template, spec.Parameters)
	if err != nil {
		return Applied{}, fmt.Errorf("stack %s: %w", spec.Name, err)
	}
	s := newSession(a, spec.Wait, spec.Event, t.Secrets(spec.Parameters))
	applied, err := (&application{s: s, sets: sets{s, spec}, spec: spec, template: t}).run(ctx)
	return applied, s.masked(err)
}

// An application brings one stack to its Spec. It decides what has to happen before the
// change set, and verifies what there is after it.
type application struct {
	s        *session
	sets     sets
	spec     Spec
	template template.Template
}

func (a *application) run(ctx context.Context) (Applied, error) {
	var applied Applied
	source, err := a.sets.place(ctx)
	if err != nil {
		return applied, err
	}
	current, left, err := a.settle(ctx)
	applied.Left = left
	if err != nil {
		return applied, err
	}
	set, err := a.sets.prepare(ctx, source, current)
	if err != nil {
		return applied, err
	}
	applied.Changes = set.changes
	if !set.empty {
		applied.Changed = true
		if err := a.sets.execute(ctx, set); err != nil {
			st, findErr := a.s.read.find(ctx, set.stack)
			if findErr != nil || st.ID == "" { // the first error matters
				st = Stack{ID: set.stack, Name: a.spec.Name}
			}
			applied.Stack = st
			return applied, err
		}
	}
	return a.complete(ctx, set.stack, applied)
}

// complete protects the stack and compares its resources with the template.
func (a *application) complete(ctx context.Context, id string, applied Applied) (Applied, error) {
	st, err := a.s.read.find(ctx, id)
	if err == nil && a.spec.Protect && !st.Protected {
		if err = a.s.protect(ctx, id, true); err == nil {
			st, err = a.s.read.find(ctx, id)
		}
		if err == nil && !st.Protected {
			err = fmt.Errorf("stack %s: termination protection was turned on and is off", a.spec.Name)
		}
	}
	applied.Stack = st
	if err != nil {
		return applied, err
	}
	applied.Resources, applied.Missing, err = a.resources(ctx, id)
	return applied, err
}

// resources lists what exists, and what the template has and does not exist.
func (a *application) resources(ctx context.Context, id string) (existing map[string]string, missing []string, err error) {
	t := a.template
	if t.Transform {
		if t, err = a.s.read.processed(ctx, id, a.spec.Parameters); err != nil {
			return nil, nil, err
		}
	}
	all, err := a.s.read.list(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	existing = map[string]string{}
	for _, r := range all {
		if resourceExists(r) {
			existing[sdk.ToString(r.LogicalResourceId)] = sdk.ToString(r.PhysicalResourceId)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(t.Resources)) {
		if _, ok := existing[id]; !ok && !t.Resources[id].Absent {
			missing = append(missing, id)
		}
	}
	return existing, missing, nil
}

// resourceExists reports whether a listed resource exists. One that the server did
// not understand is listed without a type; moto_server lists some that exist, such
// as the methods of an API, as complete and without an id.
func resourceExists(r types.StackResourceSummary) bool {
	complete := strings.HasSuffix(string(r.ResourceStatus), "_COMPLETE") && r.ResourceStatus != types.ResourceStatusDeleteComplete
	identified := sdk.ToString(r.PhysicalResourceId) != "" && r.ResourceStatus != types.ResourceStatusDeleteComplete
	return sdk.ToString(r.ResourceType) != "" && (complete || identified)
}
