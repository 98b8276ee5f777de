// Package logistic fits logistic regressions with a ridge. Detectors and correlation that
// learn from simulated days use it; what it returns are weights that they keep in files of
// their own.
package logistic

import (
	"errors"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// Of is the logistic function, the probability of log odds.
func Of(logOdds float64) float64 { return 1 / (1 + math.Exp(-logOdds)) }

// LogOdds is the inverse of Of.
func LogOdds(p float64) float64 { return math.Log(p / (1 - p)) }

// Rows are what a regression learns from: feature values, all of one length, the side of each
// row, and how much it weighs.
type Rows struct {
	Features [][]float64
	IsTrue   []bool
	Weights  []float64 // nil for 1 each
	Ridge    float64   // weight of the squared weights in the loss
}

// biasRidge is the ridge of the bias, which is free but for having to be finite.
const biasRidge = 1e-6

// enoughDecrement ends Newton's method, smallestShare the halving of a step; newtonSteps
// bounds the steps, of which some ten are needed.
const (
	enoughDecrement = 1e-12
	smallestShare   = 1e-10
	newtonSteps     = 100
)

// Fit finds the weights and the bias by Newton's method on the loss with its ridge
// (iteratively reweighted least squares). The same rows in the same order give the same
// weights.
func (r *Rows) Fit() (weights []float64, bias float64, err error) {
	if len(r.Features) == 0 {
		return nil, 0, errors.New("there is nothing to learn from")
	}
	n := len(r.Features[0])
	x := make([]float64, n+1) // the bias last
	step := mat.NewVecDense(n+1, nil)
	for range newtonSteps {
		hessian, gradient := r.curvature(x)
		var c mat.Cholesky
		if !c.Factorize(hessian) {
			return nil, 0, errors.New("the regression has no single best answer: the examples are too much alike")
		}
		if err := c.SolveVecTo(step, gradient); err != nil {
			return nil, 0, errors.Join(errNoConvergence, err)
		}
		// The decrement is how much the loss would fall if it were as it looks from here; a
		// full step may overshoot, so it is halved until the loss does fall.
		decrement := mat.Dot(gradient, step)
		if decrement < enoughDecrement {
			return x[:n], x[n], nil
		}
		before, share := r.loss(x), 1.0
		for ; share > smallestShare; share /= 2 {
			next := slices.Clone(x)
			for j := range next {
				next[j] -= share * step.AtVec(j)
			}
			if r.loss(next) <= before-share*decrement/4 {
				x = next
				break
			}
		}
		if share <= smallestShare { // as near as numbers allow
			return x[:n], x[n], nil
		}
	}
	return nil, 0, errNoConvergence
}

var errNoConvergence = errors.New("the regression does not converge")

func (r *Rows) weight(i int) float64 {
	if r.Weights == nil {
		return 1
	}
	return r.Weights[i]
}

// loss is the loss with its ridge.
func (r *Rows) loss(x []float64) float64 {
	n := len(x) - 1
	loss := 0.0
	for i, row := range r.Features {
		z := score(x, row)
		if r.IsTrue[i] {
			z = -z
		}
		loss += r.weight(i) * (max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))))
	}
	for _, v := range x[:n] {
		loss += r.Ridge / 2 * v * v
	}
	return loss + biasRidge/2*x[n]*x[n]
}

// curvature are the second and the first derivatives of the loss.
func (r *Rows) curvature(x []float64) (*mat.SymDense, *mat.VecDense) {
	size := len(x)
	h, g, row := make([]float64, size*size), make([]float64, size), make([]float64, size)
	row[size-1] = 1
	for i, features := range r.Features {
		copy(row, features)
		p := Of(score(x, features))
		slope, bend := r.weight(i)*p, r.weight(i)*p*(1-p)
		if r.IsTrue[i] {
			slope -= r.weight(i)
		}
		for j, v := range row {
			if v == 0 {
				continue
			}
			g[j] += slope * v
			bent, into := bend*v, h[j*size:(j+1)*size]
			for k := j; k < size; k++ {
				into[k] += bent * row[k]
			}
		}
	}
	for j := range size {
		ridge := r.Ridge
		if j == size-1 {
			ridge = biasRidge
		}
		h[j*size+j] += ridge
		g[j] += ridge * x[j]
	}
	return mat.NewSymDense(size, h), mat.NewVecDense(size, g)
}

func score(x, features []float64) float64 {
	z := x[len(x)-1]
	for i, v := range features {
		z += x[i] * v
	}
	return z
}
