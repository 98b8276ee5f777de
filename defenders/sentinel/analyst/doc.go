// Package analyst is an automatic analyst between detection and fusion: it judges alerts
// (confirm, dismiss, raise), so that people and playbooks see fewer false ones, at the
// price of its errors and of the time that its answers take.
//
// A Judge decides; there are three. Offline (offline.go) is a logistic regression over
// features of the alert and of the history of its entities, trained from simulated days and
// embedded. Model (model.go) asks a language model at an OpenAI-compatible endpoint, through
// a cassette that records and replays its answers. The third, a surrogate that plays a model
// of stated error rates, needs the truth and therefore stands with the simulated people, in
// sim/analysts.
//
// stage.go puts a judge into the pipeline with a queue of its own, memory.go keeps what has
// been seen of each entity. Input are alerts of defenders/sentinel and the events that
// ingest took in; output are triaged alerts, which the pipeline passes on to fusion or drops.
package analyst
