package sigma

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
)

const (
	// maxInstructions bounds a compiled regular expression; the largest of SigmaHQ's
	// rules has some hundred.
	maxInstructions = 20_000
	// maxExpressionText is how much of a field a regular expression is tried on, in
	// bytes. RE2 takes time in proportion to text times instructions, so expressions
	// of many instructions see less, but never less than minExpressionText.
	maxExpressionText = 64 << 10
	minExpressionText = 4 << 10
	// maxExpressionSteps bounds text times instructions.
	maxExpressionSteps = 32 << 20
)

// expression is a compiled regular expression that looks at the beginning of a text
// only, so that no rule and no event can stop the engine for minutes.
type expression struct {
	compiled *regexp.Regexp
	limit    int // bytes of the text
}

// compileExpression compiles a regular expression of RE2 within the bounds.
func compileExpression(pattern string) (*expression, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, errors.New(refusedByRE2(err))
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, errors.New(refusedByRE2(err))
	}
	size := len(program.Inst)
	if size > maxInstructions {
		return nil, fmt.Errorf(
			"the regular expression compiles to %d instructions, and at most %d are accepted; shorten its repetitions or list values instead",
			size,
			maxInstructions,
		)
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return nil, errors.New(refusedByRE2(err))
	}
	limit := max(minExpressionText, min(maxExpressionText, maxExpressionSteps/max(1, size)))
	return &expression{compiled: compiled, limit: limit}, nil
}

// matches tells whether the expression matches somewhere in the part of the text
// that it is tried on.
func (x *expression) matches(text string) bool {
	if len(text) > x.limit {
		text = text[:x.limit]
	}
	return x.compiled.MatchString(text)
}

func (x *expression) String() string { return x.compiled.String() }
