"""The reader: what a student sees of an approved site, and what is left of it when it gets there.

Start with ``document.render`` (a page) and ``css.clean_css`` (a style sheet). Nothing here fetches,
decides or remembers: the caller says with ``place`` which addresses have a place, and what it is.

- ``parts``: what goes in and comes out. ``lists``: every element and attribute that may stand.
- ``encoding``: bytes to text. ``bounds``: pages that would take too long are refused beforehand.
- ``writer`` writes the page anew from the tree, ``forms`` and ``formulas`` their part of it;
  ``addresses`` is the one way out for an address; ``markup`` escapes.
- ``css`` and ``selectors``: style sheets by their tokens, narrowed to the container.

What the page around an article must do, and no cleaner can:

- Put the article into ``<div id="dask-site" class="…Rendered.classes…">``, and that alone into a
  box of ours with ``position: relative; z-index: 0; isolation: isolate; contain: layout paint;
  overflow: clip``. Everything of the site is then drawn inside that box and below what has
  ``z-index: 1``, whatever its style sheets say: ``contain`` makes the box the frame of reference of
  ``position: fixed`` as well. The bar stands outside the box with ``position: sticky; z-index: 1``.
- Style the bar by the platform's own font names, or names that begin with ``dask-``; fonts and
  keyframes of a site are known on the whole page by their names.
- Send ``default-src 'none'; script-src 'none'; base-uri 'none'; object-src 'none'; frame-src
  'none'``, ``style-src-attr 'unsafe-inline'`` where style attributes are kept, and name only the
  labels of the rule's hosts for pictures, media, fonts, styles and forms.
"""

from dask_platform.security.reader.css import clean_css as clean_css
from dask_platform.security.reader.css import clean_declarations as clean_declarations
from dask_platform.security.reader.document import render as render
from dask_platform.security.reader.parts import AllowedForm as AllowedForm
from dask_platform.security.reader.parts import Ask as Ask
from dask_platform.security.reader.parts import Field as Field
from dask_platform.security.reader.parts import Kind as Kind
from dask_platform.security.reader.parts import Place as Place
from dask_platform.security.reader.parts import Policy as Policy
from dask_platform.security.reader.parts import Rendered as Rendered
from dask_platform.security.reader.parts import Sheet as Sheet
from dask_platform.security.reader.parts import Style as Style
