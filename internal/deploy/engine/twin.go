package engine

import (
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/traffic"
)

// twin returns the ReplicaSet of the stable version's pods if the new version has the
// same image, so that it may call itself the same in its answers; else "".
func twin(record *release.Record) string {
	if record.Image != record.Stable.Image {
		return ""
	}
	return record.Stable.ReplicaSet
}

// distinct refuses versions of the same image whose shares nothing would show. A rolling
// update needs no shares.
func distinct(cfg traffic.Config, record *release.Record, identity traffic.Identity) error {
	if cfg.ReplicaSet == "" || identity.Why == "" || cfg.CountersURL != "" || record.Rolling != nil {
		return nil
	}
	return exit.Refuse("set version-header to a response header that differs between them, or gateway-metrics-url to the gateway's own metrics", identity.Why)
}
