package soakbench

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A version is an image of the sample.
type version struct {
	tag  string
	env  map[string]string
	args []string // of its releases alone
	want int      // exit status of a release that nobody disturbs
}

// errorsTag is the version that answers some requests with a 500 on purpose,
// unreadyTag the one that must never get a request.
const (
	errorsTag  = "soak-errors"
	unreadyTag = "soak-unready"
)

var good = []version{{tag: "soak-1"}, {tag: "soak-2"}, {tag: "soak-3"}, {tag: "soak-4"}}

var bad = []version{
	{tag: errorsTag, env: map[string]string{"ERROR_RATE": "0.3"}, want: 4},
	{tag: unreadyTag, env: map[string]string{"NEVER_READY": "true"}, args: []string{"--progress-deadline", "15s"}, want: 4},
}

// versionOf returns the version with tag.
func versionOf(tag string) version {
	all := slices.Concat(good, bad)
	i := slices.IndexFunc(all, func(v version) bool { return v.tag == tag })
	if i < 0 {
		return version{tag: tag}
	}
	return all[i]
}

// strategies are those of the releases, one turn after the other.
var strategies = []strategy{
	{name: "canary"},
	{name: "rolling", args: []string{"--strategy", "rolling"}},
	{name: "canary"},
	{name: "blue-green", args: []string{"--strategy", "blue-green", "--warm-up-time", "1s", "--keep-blue-time", "5s"}},
}

// A strategy is a way to release, with the inputs that only it has.
type strategy struct {
	name string
	args []string
}

// A change is what a user does to the Deployment beside the releases.
type change string

// The changes.
const (
	unchanged change = ""
	restart   change = "kubectl rollout restart"
	setEnv    change = "kubectl set env"
	apply     change = "kubectl apply"
	scale     change = "kubectl scale"
)

var changes = []change{restart, setEnv, apply, scale}

// A turn is one release and what happens around it.
type turn struct {
	number   int
	version  version
	strategy strategy
	before   change // done before the release starts
	during   change // done while it runs, after the delay
	delay    time.Duration
	kill     time.Duration // the tool is killed after it; 0 if never
	grow     bool          // scale adds a pod if there is room, else it removes one
}

func (t turn) String() string {
	s := fmt.Sprintf("run %d: release %s by %s", t.number, t.version.tag, t.strategy.name)
	if t.kill > 0 {
		s += fmt.Sprintf(", killed after %.0f s", t.kill.Seconds())
	}
	if t.during != unchanged {
		s += fmt.Sprintf(", %s after %.0f s", t.during, t.delay.Seconds())
	}
	return s
}

// killEvery is the share of runs that are killed; a kill comes between minKill
// and maxKill after the start of the tool.
const (
	killEvery = 3
	minKill   = 2 * time.Second
	maxKill   = 60 * time.Second
)

// A script makes one turn after the other. It depends on its seed alone, not on
// how the turns end.
type script struct {
	random    *rand.Rand
	during    float64 // share of undisturbed runs that get a change while they run
	number    int
	disturbed bool // the last turn may have left something to finish
}

func newScript(seed uint64, during float64) *script {
	return &script{random: rand.New(rand.NewPCG(seed, seed)), during: during}
}

// next returns the next turn. Every turn draws the same numbers, whatever it
// makes of them. After a disturbed run the next release comes first: a user's
// change to a Deployment that is paused would have to wait for it.
func (s *script) next() turn {
	s.number++
	t := turn{number: s.number, grow: s.random.IntN(2) == 0}
	image, before, during := s.random.IntN(6), s.random.IntN(2*len(changes)), s.random.IntN(len(changes))
	kill, delay, share := s.random.Int64N(int64(maxKill-minKill)), s.random.Int64N(int64(maxKill-minKill)), s.random.Float64()
	t.version, t.strategy = slices.Concat(good, bad)[image], strategies[s.number%len(strategies)]
	if before < len(changes) && !s.disturbed {
		t.before = changes[before]
	}
	switch {
	case s.number%killEvery == 0:
		t.kill = minKill + time.Duration(kill)
	case share < s.during:
		t.during, t.delay = changes[during], minKill+time.Duration(delay)
	}
	s.disturbed = t.kill > 0 || t.during != unchanged
	return t
}

// last returns the turn that ends the soak: a good version that is not one of
// live, and nothing that disturbs it.
func (s *script) last(live []string) turn {
	s.number++
	first := s.random.IntN(len(good))
	for i := range good {
		if v := good[(first+i)%len(good)]; !slices.Contains(live, v.tag) {
			return turn{number: s.number, version: v, strategy: strategies[0]}
		}
	}
	return turn{number: s.number, version: good[first], strategy: strategies[0]}
}
