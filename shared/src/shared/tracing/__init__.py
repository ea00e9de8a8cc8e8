"""Traces: the span that something happens in goes along with events, requests, documents and workflows.

``spans`` has what code uses, ``exporting`` what sends spans to a collector, where there is one.
"""

from shared.tracing.context import TraceContext, parse_traceparent
from shared.tracing.spans import Kind, Span, current, traceparent

__all__ = ["Kind", "Span", "TraceContext", "current", "parse_traceparent", "traceparent"]
