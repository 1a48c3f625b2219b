package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/candlefish/deploy-action/internal/devtools/gatetest"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest"
)

func plant(ts *testscript.TestScript, neg bool, args []string) {
	gatetest.Want(ts, !neg && len(args) == 2, "plant github|stripe|slack|sendgrid|npm FILE")
	all := scannertest.NewCredentials(scannertest.Seed)
	secret := map[string]string{"github": all.GitHub, "stripe": all.Stripe, "slack": all.Slack, "sendgrid": all.SendGrid, "npm": all.NPM}[args[0]]
	gatetest.Want(ts, secret != "", "plant github|stripe|slack|sendgrid|npm FILE")
	f, err := os.OpenFile(ts.MkAbs(args[1]), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	ts.Check(err)
	_, err = fmt.Fprintf(f, "const %s = %q;\n", args[0], secret)
	ts.Check(err)
	ts.Check(f.Close())
	gatetest.Of(ts).Secrets = append(gatetest.Of(ts).Secrets, secret)
}

func mark(ts *testscript.TestScript, neg bool, args []string) {
	gatetest.Want(ts, !neg && len(args) == 1, "mark FILE")
	text := strings.TrimSuffix(ts.ReadFile(args[0]), "\n") + " // gitleaks:allow\n"
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

func today(ts *testscript.TestScript, neg bool, args []string) {
	gatetest.Want(ts, !neg && len(args) == 2, "today DAYS FILE")
	days, err := strconv.Atoi(args[0])
	ts.Check(err)
	date := time.Now().UTC().AddDate(0, 0, days).Format(time.DateOnly)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(strings.ReplaceAll(ts.ReadFile(args[1]), "DATE", date)), 0o600))
}
