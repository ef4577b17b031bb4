package store

import (
	"time"
)

// Invocation is one run of a Worker.
type Invocation struct {
	Script      string
	Version     string
	Status      string // success, scriptThrewException, clientDisconnected, exceededCpu, ...
	At          time.Time
	Wall        time.Duration
	CPU         time.Duration
	HTTPStatus  int
	Subrequests int
}

// Dimension is what Query keeps apart; the others are added up.
type Dimension uint

// The dimensions. Hour and Minute exclude each other; the finer one wins.
const (
	ByScript Dimension = 1 << iota
	ByVersion
	ByStatus
	ByMinute
	ByHour
)

// Filter chooses invocations. Empty fields choose all.
type Filter struct {
	Script, Version, Status string
	From, To                time.Time // From is within, To is not; both in whole minutes
	Limit                   int       // rows; 0 means no limit
	By                      Dimension // 0 means ByScript|ByVersion|ByStatus|ByMinute
}

// Aggregate sums up invocations of the dimensions that are set.
type Aggregate struct {
	Script, Version, Status string
	At                      time.Time // start of the minute or hour; zero without either
	Requests                uint64
	Errors                  uint64 // requests whose status is not success
	Subrequests             uint64
	HTTP                    [6]uint64 // responses by class: HTTP[5] are the 5xx, HTTP[0] those without a response
	Wall, CPU               Histogram
}
