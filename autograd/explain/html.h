/* html.h: pieces of the page. Private to autograd/. page.css and page.js are what their names say; CMake makes strings
 * of them. Read next: html.c. */
#ifndef TP_AUTOGRAD_EXPLAIN_HTML_H
#define TP_AUTOGRAD_EXPLAIN_HTML_H

#include "autograd/explain/page.h"

extern const char tp_page_css[], tp_page_js[];

/* Writes text that is markup; what was cut off to fit ends with a whole element. */
void tp_html_put(FILE *out, const tp_text *t);
/* A paragraph of markup; nothing if it is empty. */
void tp_html_line(const tp_page *p, const char *class, const tp_text *t);
/* "✓ ok 2e-10": class ok, wrong or skipped, and text. */
void tp_html_badge(FILE *out, const char *class, const char *words);
/* The writer's member element. */
void tp_html_element(tp_page *p, const tp_element *e);
/* A tensor: one element as "= 3", more as tables: up to 64 elements whole, of others a corner.
 * Below stand range and norm, with shape also that. */
void tp_html_tensor(FILE *out, const tp_tensor *x, bool shape);

/* Of pictures [n,c,h,w] the first planes, drawn, in shades of most, the largest size of an element. Nothing of other
 * tensors, nor of kernels. */
void tp_html_pictures(FILE *out, const tp_tensor *x, double most);
/* From −4 to 4, the further from 0, the nearer v is to most; 0 of what is not finite. */
int tp_html_shade(double v, double most);

#endif
