package supervisor

import (
	"encoding/json"
	"io"
	"net"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/control"
)

// serveControl answers clients until the listener closes.
func (v *overseer) serveControl(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go v.answer(conn)
	}
}

func (v *overseer) answer(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	var req control.Request
	_ = conn.SetDeadline(time.Now().Add(control.AnswerLimit))
	if err := json.NewDecoder(conn).Decode(&req); err != nil {
		return
	}
	say := func() { _ = json.NewEncoder(conn).Encode(v.status()) } // a client that has gone needs no answer
	switch req.Op {
	case "status":
		say()
	case "stop":
		say()
		v.stop("asked to")
	case "lease":
		v.hold(req.Keep)
		say()
		_ = conn.SetDeadline(time.Time{})
		_, _ = io.Copy(io.Discard, conn) // ends when the other side says no more, or does not live any more
		_ = conn.SetDeadline(time.Now().Add(control.AnswerLimit))
		v.release(say)
	}
}

func (v *overseer) hold(keep bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.users++
	v.spec.Keep = v.spec.Keep || keep
	if v.idle != nil {
		v.idle.Stop()
	}
}

// release gives back one use and tells its user so. Without users an ephemeral sandbox stops after its linger time.
func (v *overseer) release(say func()) {
	v.mu.Lock()
	v.users--
	unused := v.users == 0 && !v.spec.Keep
	v.mu.Unlock()
	say()
	if !unused {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.idle = time.AfterFunc(v.spec.Linger, func() {
		v.mu.Lock()
		unused := v.users == 0 && !v.spec.Keep
		v.mu.Unlock()
		if unused {
			v.stop("its last user has gone")
		}
	})
}
