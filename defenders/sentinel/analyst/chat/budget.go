package chat

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Limits bound what a run may spend on answers; a zero value sets no bound of its kind.
type Limits struct {
	Tokens int
	Money  float64
	Time   time.Duration // on the wall clock, from the first question on
}

// Price is what tokens cost, for a million of them.
type Price struct{ Input, Output float64 }

// Of is what so many tokens cost.
func (p Price) Of(input, output int) float64 {
	return (float64(input)*p.Input + float64(output)*p.Output) / 1e6
}

// ErrBudget tells that the budget does not allow a further question.
var ErrBudget = errors.New("the budget is spent")

// Budget passes questions on as long as what they may cost at most is within the limits. It
// reserves the greatest cost of each before it is asked, so no limit is ever passed.
type Budget struct {
	limits Limits
	price  Price
	next   Asker
	now    func() time.Time

	mu       sync.Mutex
	began    time.Time
	spent    Spent
	reserved Spent
}

// Spent is what was spent.
type Spent struct {
	Requests int
	Tokens   int
	Money    float64
}

// NewBudget bounds what an asker is asked.
func NewBudget(l Limits, p Price, next Asker, now func() time.Time) *Budget {
	return &Budget{limits: l, price: p, next: next, now: now}
}

// Spent is what was spent so far.
func (b *Budget) Spent() Spent {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent
}

// Most says in words what may be spent at most.
func (b *Budget) Most() string { return b.limits.describe(b.price) }

func (l Limits) describe(p Price) string {
	var parts []string
	if l.Tokens > 0 {
		part := fmt.Sprintf("%d tokens", l.Tokens)
		if most := max(p.Of(l.Tokens, 0), p.Of(0, l.Tokens)); most > 0 && l.Money == 0 {
			part += fmt.Sprintf(", which cost at most %.2f", most)
		}
		parts = append(parts, part)
	}
	if l.Money > 0 {
		parts = append(parts, fmt.Sprintf("%.2f in money", l.Money))
	}
	if l.Time > 0 {
		parts = append(parts, l.Time.String())
	}
	return strings.Join(parts, ", ")
}

// Ask implements Asker.
func (b *Budget) Ask(ctx context.Context, q *Question) (Reply, error) {
	// A token is at least a byte of what is sent.
	most := Spent{Tokens: q.bytes() + q.MaxTokens, Money: b.price.Of(q.bytes(), q.MaxTokens)}
	left, err := b.reserve(most)
	if err != nil {
		return Reply{}, err
	}
	limited := ctx
	if left > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, left)
		defer cancel()
	}
	reply, err := b.next.Ask(limited, q)
	b.settle(most, reply)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		err = &FatalError{fmt.Sprintf("%s were allowed, and have passed", b.limits.Time), ErrBudget}
	}
	return reply, err
}

// reserve sets the greatest cost of a question aside, and returns how much time is left; 0
// for any.
func (b *Budget) reserve(most Spent) (left time.Duration, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.began.IsZero() {
		b.began = b.now()
	}
	l := b.limits
	if l.Time > 0 {
		if left = l.Time - b.now().Sub(b.began); left <= 0 {
			return 0, &FatalError{fmt.Sprintf("%s were allowed, and have passed", l.Time), ErrBudget}
		}
	}
	if sum := b.spent.Tokens + b.reserved.Tokens + most.Tokens; l.Tokens > 0 && sum > l.Tokens {
		return 0, &FatalError{fmt.Sprintf("%d of %d tokens are spent, and the next question may need %d",
			b.spent.Tokens, l.Tokens, most.Tokens), ErrBudget}
	}
	if sum := b.spent.Money + b.reserved.Money + most.Money; l.Money > 0 && sum > l.Money {
		return 0, &FatalError{fmt.Sprintf("%.4f of %.4f are spent, and the next question may cost %.4f",
			b.spent.Money, l.Money, most.Money), ErrBudget}
	}
	b.reserved.Tokens += most.Tokens
	b.reserved.Money += most.Money
	return left, nil
}

func (b *Budget) settle(most Spent, r Reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reserved.Tokens -= most.Tokens
	b.reserved.Money -= most.Money
	b.spent.Requests++
	b.spent.Tokens += r.Input + r.Output
	b.spent.Money += b.price.Of(r.Input, r.Output)
}
