package waiver

import (
	"fmt"

	"github.com/candlefish/deploy-action/internal/finding/verdict"
)

// notes returns the waivers that need people, each with what is wrong with it.
func (a *applying) notes() verdict.Waivers {
	var w verdict.Waivers
	for _, u := range a.uses {
		note := func(ids []string, format string, args ...any) verdict.WaiverNote {
			return verdict.WaiverNote{Name: u.Name, What: u.what(), Owner: u.Owner, Expires: u.Expires, Why: fmt.Sprintf(format, args...), IDs: ids}
		}
		switch {
		case a.expired(u) && len(u.matches) == 0:
			w.Expired = append(w.Expired, note(nil, "it expired on %s and matches no finding of this scan: remove it.", u.Expires.Format(dateForm)))
		case a.expired(u):
			w.Expired = append(w.Expired, note(u.matches, "it expired on %s: fix what it was for, or renew it.", u.Expires.Format(dateForm)))
		case u.broken != "":
			w.Refused = append(w.Refused, note(u.matches, "%s", u.broken))
		case len(u.live) > 0:
			w.Refused = append(w.Refused, note(u.live, "the credential was verified as live: revoke it."))
		case len(u.partly) > 0:
			w.Refused = append(w.Refused, note(u.partly, "it does not cover each sighting of the finding, for example %s.", u.missed))
		case len(u.matches) == 0 && !a.policy.Part:
			w.Unused = append(w.Unused, note(nil, "no finding of this scan matches it: remove it if the problem is gone."))
		case len(u.matches) > 0 && u.ends().Sub(a.now) <= a.policy.Soon:
			w.Soon = append(w.Soon, note(u.matches, "it ends on %s.", u.Expires.Format(dateForm)))
		}
	}
	return w
}
