package tail_test

import (
	"fmt"

	"github.com/candlefish/deploy-action/internal/tail"
)

func ExampleBuffer() {
	b := tail.Buffer{Limit: 12}
	fmt.Fprint(&b, "compiling\nlinking\nerror: no space")
	fmt.Println(b.String())
	// Output: or: no space
}
