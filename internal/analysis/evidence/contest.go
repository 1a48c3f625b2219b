package evidence

import "github.com/candlefish/deploy-action/internal/stat"

// A contest is the evidence that one stream of requests, the first, has events more
// than ratio times as often as another at the same time. Each second has a null of
// its own, so trouble that hits both streams is no evidence, however it comes and
// goes. It is a value: a copy may go on by itself.
type contest struct {
	wager stat.Wager
	carry [2]count // of seconds in which one stream had no request
	sides [2]clumps
}

// add takes what was counted of both streams up to the second at.
func (c *contest) add(at int64, ratio float64, first, second count) {
	c.sides[0].add(at, first)
	c.sides[1].add(at, second)
	c.carry[0].add(first.total, first.failed)
	c.carry[1].add(second.total, second.failed)
	if a, b := c.carry[0], c.carry[1]; a.total > 0 && b.total > 0 {
		c.wager.Add(stat.NullShare(a.total, b.total, ratio), a.failed, b.failed)
		c.carry = [2]count{}
	}
}

// evidence is against "at most ratio times as often". Events that come in clumps are
// fewer than they look.
func (c *contest) evidence() float64 { return c.wager.Evidence() / c.index() }

// index is how many events of the first stream count as one. How the second one's come
// tells, too, how they come in this app.
func (c *contest) index() float64 {
	return max(c.sides[0].dispersion(), c.sides[1].dispersion()) * c.sides[0].brief()
}

// clumps is how much events come together, over 1 and 2 seconds: longer trouble of one
// version alone is what the judge is there to see.
type clumps struct {
	seconds  int
	open     [2]count
	of       [2]stat.Dispersion
	last     int64 // second
	from, to int64 // of the events
	any      bool
}

func (c *clumps) add(at int64, s count) {
	if s.failed > 0 {
		if !c.any {
			c.any, c.from = true, c.last // a point of a slow source is about a longer time
			if c.seconds == 0 {
				c.from = at - 1
			}
		}
		c.to = at
	}
	c.last = at
	c.seconds++
	for i := range c.of {
		c.open[i].add(s.total, s.failed)
		if c.seconds%(1<<i) == 0 {
			c.of[i].Add(c.open[i].total, c.open[i].failed)
			c.open[i] = count{}
		}
	}
}

// dispersion is how many events count as one; at least 1.
func (c *clumps) dispersion() float64 {
	most := 1.0
	for i, of := range c.of {
		if c.seconds >= 4<<i || i == 0 {
			of.Add(c.open[i].total, c.open[i].failed)
			most = max(most, of.Index())
		}
	}
	return most
}

const (
	// oneClump is how many seconds of trouble may be a single clump, of which
	// nobody can know how large clumps are.
	oneClump = 2
	// disbelief is what evidence of a single clump is divided by.
	disbelief = 1000
)

// brief is over 1 while all events may be a single clump.
func (c *clumps) brief() float64 {
	if c.any && c.to-c.from <= oneClump {
		return disbelief
	}
	return 1
}

func (c *clumps) index() float64 { return c.dispersion() * c.brief() }
