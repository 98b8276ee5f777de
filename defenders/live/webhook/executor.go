package webhook

import (
	"context"
	"encoding/json"
	"fmt"

	"hemostat/defenders/live"
	"hemostat/defenders/response"
	"hemostat/defenders/response/cacao"
	"hemostat/sim/action"
)

// Executor has actions carried out by a receiver: as CloudEvents of the type
// hemostat.action, whose answer is {"ok": true, "changed": true, "detail": "…"}; an empty
// answer stands for done.
type Executor struct{ endpoint Endpoint }

// NewExecutor makes an executor.
func NewExecutor(e Endpoint) (*Executor, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	return &Executor{e}, nil
}

// answer is what a receiver says about an action.
type answer struct {
	OK        *bool    `json:"ok"`
	Changed   *bool    `json:"changed"`
	Detail    string   `json:"detail"`
	Accounts  []string `json:"accounts"`
	Addresses []string `json:"addresses"`
}

// Execute implements live.Executor. A receiver that does not take the action failed it.
func (x *Executor) Execute(ctx context.Context, id string, a *live.ActionDocument) (response.Result, error) {
	data, err := json.Marshal(a)
	if err != nil {
		return response.Result{}, err
	}
	body, err := json.Marshal(eventOf(&live.Output{ID: id, Type: live.ActionOutput, Data: data, Key: a.Target}))
	if err != nil {
		return response.Result{}, err
	}
	text, err := x.endpoint.post(ctx, id, "application/cloudevents+json", body)
	if err != nil {
		return failure(ctx, err)
	}
	result := response.Result{OK: true, Changed: true}
	if len(text) == 0 {
		return result, nil
	}
	var said answer
	if err := json.Unmarshal(text, &said); err != nil {
		return response.Result{Detail: "the receiver's answer is no JSON of an action's result"}, nil
	}
	if said.OK != nil {
		result.OK = *said.OK
	}
	result.Changed = result.OK
	if said.Changed != nil {
		result.Changed = *said.Changed
	}
	result.Detail, result.Accounts, result.Addresses = said.Detail, said.Accounts, said.Addresses
	return result, nil
}

// failure is the result of an action that was not taken.
func failure(ctx context.Context, err error) (response.Result, error) {
	if ctx.Err() != nil {
		return response.Result{}, ctx.Err()
	}
	return response.Result{Detail: "the receiver did not take the action: " + err.Error()}, nil
}

// OpenC2 has actions carried out by a consumer of OpenC2 commands over HTTPS (OpenC2 Language
// Specification 1.0, HTTPS transfer 1.1).
type OpenC2 struct{ endpoint Endpoint }

// NewOpenC2 makes a producer of commands.
func NewOpenC2(e Endpoint) (*OpenC2, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	return &OpenC2{e}, nil
}

// contentType is that of OpenC2 1.0 commands in JSON.
const contentType = "application/openc2+json;version=1.0"

// opposites are the actions that undo others; what has none is undone by a cancel of its
// command.
var opposites = map[string]string{"deny": "allow", "contain": "allow", "stop": "start", "set": "restore"}

// Execute implements live.Executor.
func (x *OpenC2) Execute(ctx context.Context, id string, a *live.ActionDocument) (response.Result, error) {
	params := map[string]any{}
	for name, v := range a.Params {
		params[name] = v
	}
	if _, known := action.Find(a.Kind); !known {
		return response.Result{Detail: fmt.Sprintf("there is no action %q", a.Kind)}, nil
	}
	command := cacao.OpenC2(&response.Step{ID: id, Action: a.Kind, With: params})
	if a.Phase == "undo" {
		if opposite, ok := opposites[command.Action]; ok {
			command.Action = opposite
		} else {
			command.Action, command.Target = "cancel", map[string]any{"command": a.Undoes}
		}
	}
	body, err := json.Marshal(command)
	if err != nil {
		return response.Result{}, err
	}
	text, err := x.endpoint.post(ctx, id, contentType, body)
	if err != nil {
		return failure(ctx, err)
	}
	var said struct {
		Status int    `json:"status"`
		Text   string `json:"status_text"`
	}
	if err := json.Unmarshal(text, &said); err != nil || said.Status == 0 {
		return response.Result{Detail: "the consumer's answer is no response of OpenC2"}, nil
	}
	ok := said.Status >= 200 && said.Status < 300
	return response.Result{OK: ok, Changed: ok, Detail: said.Text}, nil
}
