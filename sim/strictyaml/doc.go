// Package strictyaml reads the project's YAML files into Go structs and is
// strict about it: an unknown key, a wrong type or a missing value is a fault
// with file, line, column, path inside the document and what would be accepted,
// and all faults of a file are reported at once. From the same structs it writes
// the JSON Schema that editors complete from, so file, schema and code cannot
// drift apart.
//
// yaml.v3 parses; this package only walks its nodes. Defenders, who may import
// nothing of the simulator, are handed Decode as a function.
package strictyaml
