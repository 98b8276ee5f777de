// Package distributed runs the trials of a batch on workers anywhere, through NATS JetStream
// (https://docs.nats.io/nats-concepts/jetstream). It knows a trial only as a function, as
// sim/batch does; what a plan means, and where results go, is the caller's business.
//
// One coordinator (Run) and any number of workers (Worker) meet at the server:
//
//	bucket hemostat_jobs          what is to be run, by which program, with which digests
//	stream HEMOSTAT_WORK_<job>    a work queue of batches of trials, by their ids
//	bucket hemostat_results_<job> the trials that were run, an object a batch
//	stream HEMOSTAT_DONE_<job>    a message for each object, which the coordinator takes
//
// Every message is delivered at least once. A batch is acknowledged when its object and the
// message about it are stored, and that message when its trials are recorded, so that whoever is
// killed at any moment, the server too, loses nothing; what is run twice has an equal digest, or
// the run ends with both digests. Time is measured by the monotonic clocks of processes and of
// the server, so that a wall clock that is set changes nothing.
//
// Whoever may write to the server is trusted: a job names files that workers read.
package distributed
