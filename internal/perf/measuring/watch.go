package measuring

import (
	"fmt"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/meter"
)

// Between is how often a run says what it waits for.
const Between = 5 * time.Second

// watch says what runs, at its begin and every few seconds, until the returned function
// is called.
func (r *run) watch(c *course, job meter.Job, start time.Time) (stop func()) {
	name := fmt.Sprintf("%s: round %d", c.about.Name, job.Round+1)
	if job.Rounds > 0 {
		name += fmt.Sprintf(" of %d", job.Rounds)
	}
	if c.about.Once && r.Base == nil || c.about.Single {
		name = c.about.Name
	}
	if r.Base != nil && job.Side == measure.Base {
		name += " of the base"
	}
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-r.After(Between):
				r.Say(fmt.Sprintf("%s has run for %v", name, r.Now().Sub(start).Round(time.Second)))
			}
		}
	})
	return func() {
		close(done)
		wait.Wait()
	}
}
