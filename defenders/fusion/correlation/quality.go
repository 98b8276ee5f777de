package correlation

// Quality is how well campaigns fit the attacks, over pairs of alerts.
type Quality struct {
	Pairs     int     `json:"pairs"`     // of alerts about the same attack
	Precision float64 `json:"precision"` // of pairs in one campaign with one true alert at least, those about the same attack
	Recall    float64 `json:"recall"`    // of pairs about the same attack, those in one campaign
	Rand      float64 `json:"rand"`      // adjusted Rand index (Hubert and Arabie 1985), each false alarm standing alone
}

// Counter holds the campaign of each alert against its attack.
type Counter struct {
	cells     map[[2]int]int // alerts by campaign and attack
	campaigns map[int]int
	attacks   map[int]int
	alone     map[int]int // false alarms by campaign
	falseOnes int
}

// NewCounter makes a counter.
func NewCounter() *Counter {
	return &Counter{cells: map[[2]int]int{}, campaigns: map[int]int{}, attacks: map[int]int{}, alone: map[int]int{}}
}

// Add takes an alert in; attack is 0 for a false alarm.
func (c *Counter) Add(campaign, attack int) {
	c.campaigns[campaign]++
	if attack == 0 {
		c.falseOnes++
		c.alone[campaign]++
		return
	}
	c.attacks[attack]++
	c.cells[[2]int{campaign, attack}]++
}

// Quality is that of what was counted. Of two false alarms nobody knows whether they belong
// together; their pairs do not count for precision. Without pairs a share is 1.
func (c *Counter) Quality() Quality {
	together, mixed, inCampaign := 0, 0, 0
	q := Quality{Precision: 1, Recall: 1}
	for _, n := range c.cells {
		together += pairs(n)
	}
	all := c.falseOnes
	for _, n := range c.attacks {
		q.Pairs += pairs(n)
		all += n
	}
	for id, n := range c.campaigns {
		mixed += pairs(n) - pairs(c.alone[id])
		inCampaign += pairs(n)
	}
	if mixed > 0 {
		q.Precision = float64(together) / float64(mixed)
	}
	if q.Pairs > 0 {
		q.Recall = float64(together) / float64(q.Pairs)
	}
	q.Rand = adjustedRand(together, inCampaign, q.Pairs, pairs(all))
	return q
}

func pairs(n int) int { return n * (n - 1) / 2 }

// adjustedRand is the adjusted Rand index of two partitions, from the pairs that are together
// in both, in the first, in the second, and all.
func adjustedRand(both, first, second, all int) float64 {
	if all == 0 {
		return 1
	}
	expected := float64(first) * float64(second) / float64(all)
	most := float64(first+second) / 2
	if most == expected {
		return 1
	}
	return (float64(both) - expected) / (most - expected)
}

// Evaluate finds the campaigns of a day, and holds them against its attacks.
func Evaluate(day []Labelled, o Options) (Quality, error) {
	c, err := New(o)
	if err != nil {
		return Quality{}, err
	}
	for _, l := range day {
		c.Observe(l.At, l.Incident, l.Observation)
	}
	count := NewCounter()
	for _, l := range day {
		count.Add(c.Campaign(l.Incident)[0], l.Attack)
	}
	return count.Quality(), nil
}
