"""The record to hand over, as HTML and as PDF: ``html`` and ``pdf`` take the same content and show the same facts."""

from pages.services.document.as_html import html
from pages.services.document.as_pdf import pdf

__all__ = ["html", "pdf"]
