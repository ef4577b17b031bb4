package api

func (s *server) graphql() []endpoint { return nil }
