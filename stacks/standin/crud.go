package standin

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/cognomega/edge/internal/fault"
)

func (s *plugin) create(ctx context.Context, r p.CreateRequest) (p.CreateResponse, error) {
	res, err := s.lookup(string(r.Urn.Type()))
	if err != nil || r.DryRun {
		return p.CreateResponse{Properties: r.Properties}, err
	}
	if string(r.Urn.Type()) == typeCron {
		id, err := s.putCron(ctx, res, r.Properties, crons(r.Properties))
		return p.CreateResponse{ID: id, Properties: r.Properties}, err
	}
	var made map[string]any
	if err := s.api.do(ctx, http.MethodPost, expand(res.collection, r.Properties), res.body(r.Properties), &made); err != nil {
		return p.CreateResponse{}, err
	}
	id, _ := made[res.id].(string)
	if id == "" {
		return p.CreateResponse{}, fault.New(fault.Internal, "find %q in the answer to creating %s: it is empty", res.id, r.Urn.Name())
	}
	s.log.Info("created", "type", r.Urn.Type(), "name", r.Urn.Name(), "id", id)
	return p.CreateResponse{ID: id, Properties: r.Properties}, nil
}

func (s *plugin) update(ctx context.Context, r p.UpdateRequest) (p.UpdateResponse, error) {
	res, err := s.lookup(string(r.Urn.Type()))
	if err != nil || r.DryRun {
		return p.UpdateResponse{Properties: r.Inputs}, err
	}
	switch {
	case string(r.Urn.Type()) == typeCron:
		_, err = s.putCron(ctx, res, r.Inputs, crons(r.Inputs))
	case res.update == "":
		err = fault.New(fault.Unsupported, "update %s %s: Not implemented", r.Urn.Type(), r.Urn.Name())
	default:
		err = s.api.do(ctx, res.update, res.path(r.ID, r.Inputs), res.body(r.Inputs), nil)
	}
	s.log.Info("updated", "type", r.Urn.Type(), "name", r.Urn.Name(), "error", err)
	return p.UpdateResponse{Properties: r.Inputs}, err
}

// delete of what is gone is an error, as the official plugin has it.
func (s *plugin) delete(ctx context.Context, r p.DeleteRequest) error {
	res, err := s.lookup(string(r.Urn.Type()))
	if err != nil {
		return err
	}
	if string(r.Urn.Type()) == typeCron {
		_, err := s.putCron(ctx, res, r.Properties, []map[string]string{})
		return err
	}
	s.log.Info("deleting", "type", r.Urn.Type(), "name", r.Urn.Name(), "id", r.ID)
	return s.api.do(ctx, http.MethodDelete, res.path(r.ID, r.Properties), nil, nil)
}

func (s *plugin) read(ctx context.Context, r p.ReadRequest) (p.ReadResponse, error) {
	res, err := s.lookup(string(r.Urn.Type()))
	if err != nil {
		return p.ReadResponse{}, err
	}
	var live map[string]any
	switch {
	case string(r.Urn.Type()) == typeCron:
		return s.readCron(ctx, res, r)
	case res.read == readByList:
		live, err = s.api.find(ctx, expand(res.collection, r.Properties), res.id, r.ID)
	default:
		err = s.api.do(ctx, http.MethodGet, res.path(r.ID, r.Properties), nil, &live)
	}
	if errors.Is(err, fault.NotFound) && !res.strict {
		return p.ReadResponse{}, nil
	}
	if err != nil {
		return p.ReadResponse{}, err
	}
	return res.merge(r, live), nil
}

// merge copies into the state those properties that the official plugin copies, and only those that are declared.
func (r resource) merge(req p.ReadRequest, live map[string]any) p.ReadResponse {
	props, inputs := req.Properties, req.Inputs
	for _, key := range r.reads {
		declared, ok := inputs.GetOk(key)
		if !ok {
			continue
		}
		v := overlay(declared, live[r.fields[key]])
		props, inputs = props.Set(key, v), inputs.Set(key, v)
	}
	return p.ReadResponse{ID: req.ID, Properties: props, Inputs: inputs}
}

// path addresses one resource of the collection.
func (r resource) path(id string, props property.Map) string {
	last := id
	if r.addressBy != "" {
		if v, ok := props.GetOk(r.addressBy); ok && v.IsString() {
			last = v.AsString()
		}
	}
	return expand(r.collection, props) + "/" + url.PathEscape(last)
}

func (r resource) body(props property.Map) map[string]any {
	body := map[string]any{}
	for key, wire := range r.fields {
		if v, ok := props.GetOk(key); ok && !v.IsNull() {
			body[wire] = toWire(v)
		}
	}
	return body
}

func (s *plugin) putCron(ctx context.Context, res resource, props property.Map, list []map[string]string) (string, error) {
	script, _ := toWire(props.Get("scriptName")).(string)
	return cronID(script), s.api.do(ctx, http.MethodPut, expand(res.collection, props), list, nil)
}

func (s *plugin) readCron(ctx context.Context, res resource, r p.ReadRequest) (p.ReadResponse, error) {
	var live struct {
		Schedules []struct {
			Cron string `json:"cron"`
		} `json:"schedules"`
	}
	err := s.api.do(ctx, http.MethodGet, expand(res.collection, r.Properties), nil, &live)
	if errors.Is(err, fault.NotFound) {
		return p.ReadResponse{}, nil
	}
	if err != nil {
		return p.ReadResponse{}, err
	}
	list := make([]property.Value, 0, len(live.Schedules))
	for _, c := range live.Schedules {
		list = append(list, property.New(c.Cron))
	}
	v := property.New(property.NewArray(list))
	return p.ReadResponse{ID: r.ID, Properties: r.Properties.Set("schedules", v), Inputs: r.Inputs.Set("schedules", v)}, nil
}

func crons(props property.Map) []map[string]string {
	list := []map[string]string{}
	if v := props.Get("schedules"); v.IsArray() {
		for _, c := range v.AsArray().All {
			list = append(list, map[string]string{"cron": c.AsString()})
		}
	}
	return list
}
