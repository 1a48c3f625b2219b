package power_test

import (
	"fmt"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/power"
)

// Ten requests a second are too few for a step at 5 % that is held for a minute.
func ExampleOf() {
	c := config.Default()
	seen, _ := power.Of(c, c.Metrics[0], power.Traffic{Rate: 10}, 4, 5, time.Minute)
	fmt.Println(seen.Enough)
	fmt.Println(seen.Sentence)
	// Output:
	// false
	// probe at 5 %: about 30 requests of the canary in 1m0s; detects error rates from 18.6 % on; far slower answers if they are 44.3 % or more; too few to pass the step (it takes 100) and to detect an error rate of 10 % (the limit is 5 %): raise step-duration to 3m20s, or probe-rate, or the weight
}
