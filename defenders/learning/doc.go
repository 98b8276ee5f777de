// Package learning turns confirmed incidents into signatures: Sigma rules that fire on what
// incidents have in common and ordinary events lack. It sees telemetry and what the defence made of
// it, never the truth.
//
// An event is described by features of its fields: the whole value, the ends and beginnings of
// paths, and the words of command lines, each with numbers and identifiers left open. A feature, or
// a pair of features of one event, that stands in enough incidents and in next to no ordinary event
// is a seed. What all events of a seed have in common is its least general generalisation (Plotkin,
// "A Note on Inductive Generalization", Machine Intelligence 5, 1970; as closed sets of features:
// Pasquier et al., "Discovering Frequent Closed Itemsets for Association Rules", ICDT 1999). The
// rule asks for the seed and for the rarest of the rest, so that it stays readable and holds on
// days that nobody looked at.
package learning
