"""The REST API under ``/api/v1``, as documented, with the additions that ``docs/rest.md`` tells.

An operation is declared in :mod:`projects`, :mod:`jobs` or :mod:`executions` on a FastAPI router,
with its permission and all that :mod:`openapi` publishes about it (:mod:`documented`). What serves
it is its :mod:`operation`: it authenticates, checks the permission, and hands the endpoint a
:class:`~api.rest.call.Call`; the endpoint runs a command or a query and shows what there is by
:mod:`rendering`. FastAPI neither parses nor validates: what is allowed in a field is the domain's to
say, once for every edge, in words that name the field.

==================  ============================================================================
module              what is in it
==================  ============================================================================
:mod:`call`         what an endpoint gets: caller, ids, query, fields of the body
:mod:`json_object`  the body as a JSON object, or what is wrong with it
:mod:`query`        query parameters: limits, cursors, times
:mod:`listing`      lists: complete, or page by page
:mod:`rendering`    what is shown, as bytes
:mod:`schemas`      the same for the documentation
==================  ============================================================================
"""
