/* draw.h: the few shapes that the pictures of the book are made of, as SVG on stdout. A section called picture-NAME
 * draws docs/images/learn/NN-NAME.svg; the test compares the bytes. Colours tell apart on paper and without colour
 * vision: what goes forward is blue, what goes backward is orange and dashed. */
#ifndef DOCS_LEARN_DRAW_H
#define DOCS_LEARN_DRAW_H

#define DRAW_INK "#222222"
#define DRAW_GREY "#666666"
#define DRAW_PALE "#eef2f7"
#define DRAW_FORWARD "#0b559f"
#define DRAW_BACKWARD "#b34700"

/* One picture: begin, shapes, end. The background is white. title is what a screen reader says. */
void draw_begin(int width, int height, const char *title);
void draw_end(void);
void draw_box(double x, double y, double width, double height, const char *fill);
void draw_dot(double x, double y, double radius, const char *colour);
void draw_line(double x0, double y0, double x1, double y1, const char *colour);
/* A line with a head at its end; the one backward is dashed. */
void draw_arrow(double x0, double y0, double x1, double y1, const char *colour);
/* anchor is start, middle or end. Write < and & as &lt; and &amp;. */
#if defined(__GNUC__)
__attribute__((format(printf, 5, 6)))
#endif
void draw_text(double x, double y, const char *anchor, const char *colour, const char *format, ...);
/* A curve through n points x[i], y[i]. */
void draw_curve(int n, const double *x, const double *y, const char *colour);

#endif
