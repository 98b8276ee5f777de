// Package defenders is the pipeline: ingest, reflex, sentinel, fusion, response,
// cascade and restoration, each stage with a service time, a number of servers
// and a bounded queue, so that load makes latency and a full queue drops and
// counts what it dropped.
//
// Pipeline is a deterministic state machine. Time and inputs go in (events,
// people's answers, results of actions), decisions come out through a
// response.Actuator and a response.Approver, and NextWake says when to call it
// again. It reads no clock, never sleeps, starts no goroutine, and takes
// randomness only from the function that it is given. The simulator drives it
// with virtual time, a live deployment with wall time.
//
// Nothing below this package imports the world or the truth: of the project,
// defenders see sim/event only, and what they may know of the estate is handed
// to them as an inventory.
package defenders
