// Package profile infers what an attacker is like and what they will do next (theory of
// mind) from the alerts of an incident: a Bayesian filter over their goal and type, their
// skill, their stage, whether there is an attacker at all, and whether they believe that they
// are seen; and a forecast of the next technique and the next target with probabilities.
//
// filter.go is the filter of one incident, forecast.go what it predicts, knowledge.go what it
// knows beforehand (learn.go learns that from trials and from facts about groups), profiler.go
// keeps the filters of all open incidents for the pipeline, advice.go says what follows for
// the cascade. Input are alerts with their incident and what the response did; it sees no
// truth. That the forecasts are held against it is the business of scenarios/measure.
package profile
