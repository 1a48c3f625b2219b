// Package redis is the client of Redis as Traefik's distributed rate limit calls it. Every command fails, since there is no client.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"time"
)

var errAbsent = errors.New("the sandbox's gateway is built without Redis")

type UniversalOptions struct {
	Addrs                                  []string
	Username, Password                     string
	DB                                     int
	PoolSize, MinIdleConns, MaxActiveConns int
	DialTimeout, ReadTimeout, WriteTimeout time.Duration
	TLSConfig                              *tls.Config
}

type (
	Cmd          struct{}
	BoolSliceCmd struct{}
	StringCmd    struct{}
	IntCmd       struct{}
)

func (*Cmd) Result() (any, error) { return nil, errAbsent }

type UniversalClient struct{}

func NewUniversalClient(*UniversalOptions) UniversalClient { return UniversalClient{} }

func (UniversalClient) Eval(context.Context, string, []string, ...any) *Cmd      { return nil }
func (UniversalClient) EvalSha(context.Context, string, []string, ...any) *Cmd   { return nil }
func (UniversalClient) EvalRO(context.Context, string, []string, ...any) *Cmd    { return nil }
func (UniversalClient) EvalShaRO(context.Context, string, []string, ...any) *Cmd { return nil }
func (UniversalClient) ScriptExists(context.Context, ...string) *BoolSliceCmd    { return nil }
func (UniversalClient) ScriptLoad(context.Context, string) *StringCmd            { return nil }
func (UniversalClient) Del(context.Context, ...string) *IntCmd                   { return nil }

type Script struct{}

func NewScript(string) *Script { return nil }

func (*Script) Run(context.Context, any, []string, ...any) *Cmd { return nil }
