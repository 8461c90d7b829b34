/* chart.c: a chart is drawn from back to front: paper, grid, axes, data, words. Coordinates have one decimal, so that the last
 * bit of a number moves nothing. Read next: axis.c, curves.c. */
#include "chart.h"
#include "axis.h"
#include "markup.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of one chart, in pixels. */
enum {
    WIDTH = 430,
    HEIGHT = 290,
    SQUARE = 480, /* height of a chart with equal scales */
    LEFT = 70,    /* or more, where the numbers there are long */
    RIGHT = 16,
    TOP = 36,
    BOTTOM = 52,
    LEGEND = 22, /* a row of it */
    GAP = 6,     /* between its columns */
    AIR = 5,     /* between names of bars */
    KEY = 48,    /* a line or a point in it */
    LOOKS = 8,
    DIGIT = 8, /* width of a character of a number, in the widest common fonts */
    SHAPES = 7,
    POINTS = 2000 /* that a line is made of at most */
};

/* clang-format off */
/* Colours that differ for people with any colour vision (after Okabe and Ito 2008), dark on light and light on dark, all
 * with a contrast of 3 or more. */
static const char style[] =
    ".chart{color-scheme:light dark}.chart text{font:13px system-ui,sans-serif;fill:#1a1a1a}"
    ".chart .h{font-weight:600;font-size:14px}.chart .m{text-anchor:middle}.chart .e{text-anchor:end}"
    ".chart .p{fill:#fff}.chart .g{stroke:#e0e3e6}.chart .a{stroke:#6b6f73}"
    ".chart .l{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}"
    ".chart .k{fill:none;stroke:currentColor;stroke-width:1.6}"
    ".chart .d{fill:none;stroke:currentColor;stroke-width:1.4;stroke-opacity:.8}.chart .b{fill:currentColor}"
    ".chart .c0{color:#0072b2}.chart .c1{color:#c44e00}.chart .c2{color:#00795a}.chart .c3{color:#a3507c}"
    ".chart .c4{color:#8a6a00}.chart .c5{color:#3288bd}.chart .c6{color:#4d4d4d}.chart .c7{color:#c2345f}"
    "@media (prefers-color-scheme:dark){.chart text{fill:#ececec}.chart .p{fill:#16181b}"
    ".chart .g{stroke:#34383d}.chart .a{stroke:#a9aeb4}"
    ".chart .c0{color:#56b4e9}.chart .c1{color:#ff9a66}.chart .c2{color:#35c69a}.chart .c3{color:#e29cc4}"
    ".chart .c4{color:#e6b422}.chart .c5{color:#a6d8f7}.chart .c6{color:#c8c8c8}.chart .c7{color:#ff86a5}}"
    "@media print{.chart text{fill:#000}.chart .p{fill:#fff}}";
static const char *const dashes[] = {"", "7 4", "2 3", "10 3 2 3", "14 5"};
/* About a place: a ring, a square, a triangle, a cross, a diamond, a plus, a triangle on its head. */
static const char *const shapes[SHAPES] = {
    "m-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0 -5 0", "m-2.3 -2.3h4.6v4.6h-4.6z", "m0 -3l2.8 5h-5.6z",
    "m-2.4 -2.4l4.8 4.8m0 -4.8l-4.8 4.8", "m0 -3.2l3.2 3.2l-3.2 3.2l-3.2 -3.2z",
    "m-3.2 0h6.4m-3.2 -3.2v6.4", "m0 3l2.8 -5h-5.6z"};
/* clang-format on */

enum { DASHES = sizeof dashes / sizeof *dashes };

/* Where a chart lies, and its scales. */
typedef struct frame {
    axis x, y;
    double left, top, right, bottom;
    double edge; /* of the picture, beyond what stands on the left */
} frame;

static double nudged(double pixel) /* halves are rounded in the same way everywhere */
{
    return pixel + 1e-6;
}

static void put_words(json *out, double x, double y, const char *class, const char *words, int most)
{
    json_raw(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, class);
    markup_short(out, words, most);
    json_raw(out, "</text>\n");
}

/* Of a number at an axis; too wide rather than too narrow, for fonts differ. */
static double text_width(const char *number)
{
    double width = DIGIT * tp_text_columns(number);
    return strchr(number, '.') != NULL ? width - DIGIT / 2.0 : width;
}

/* --- scales ---------------------------------------------------------------------------------------- */

/* A unit as long on one axis as on the other: the shorter one grows on both sides. */
static void make_equal(frame *f)
{
    double x = (f->x.high - f->x.low) / (f->right - f->left),
           y = (f->y.high - f->y.low) / (f->bottom - f->top);
    axis *grows = x < y ? &f->x : &f->y;
    double middle = (grows->low + grows->high) / 2,
           half = (grows->high - grows->low) / 2 * (x < y ? y / x : x / y);
    grows->low = middle - half;
    grows->high = middle + half;
}

/* Where the vertical axis stands, so that its longest number does not reach its label. */
static double left_of(const frame *f)
{
    enum { AROUND = 30 }; /* the label, and what is between */
    double tick[AXIS_TICKS], room = LEFT;
    char text[TP_NUMBER_TEXT];
    for (int i = axis_ticks(&f->y, tick); i-- > 0;)
        room = fmax(room, AROUND + text_width(axis_text(text, tick[i])));
    return f->edge + room;
}

/* Makes both axes wide enough for what is drawn. */
static void include_all(frame *f, const chart *c)
{
    for (int i = 0; i < c->n; i++)
        for (int64_t k = 0; k < c->series[i].n; k++) {
            double x = c->kind == CHART_BARS ? (double)k : c->series[i].x[k], y = c->series[i].y[k];
            if (!axis_takes(&f->x, x) || !axis_takes(&f->y, y))
                continue;
            axis_include(&f->x, x);
            axis_include(&f->y, y);
        }
    if (c->kind == CHART_BARS || c->zero)
        axis_include(&f->y, 0);
    if (c->kind == CHART_BARS) {
        axis_include(&f->x, 0);
        f->x.low -= 0.5;
        f->x.high += 0.5;
    }
}

static frame frame_of(const chart *c, double left, double top, double height)
{
    frame f = {.edge = left,
               .left = left + LEFT,
               .top = top + TOP,
               .right = left + WIDTH - RIGHT,
               .bottom = top + height - BOTTOM};
    f.x = (axis){.low = 1, .high = 0, .log = c->log_x, .whole = c->whole_x};
    f.y = (axis){.low = 1, .high = 0};
    include_all(&f, c);
    axis_settle(&f.x, false);
    axis_settle(&f.y, !c->equal);
    if (c->kind == CHART_POINTS) { /* a little air */
        double air = 0.03 * (f.x.high - f.x.low);
        f.x.low -= air;
        f.x.high += air;
    }
    frame first = f; /* equal scales depend on the room, and the room on their numbers */
    if (c->equal)
        make_equal(&first);
    f.left = left_of(&first);
    if (c->equal)
        make_equal(&f);
    f.x.from = f.left;
    f.x.to = f.right;
    f.y.from = f.bottom;
    f.y.to = f.top;
    return f;
}

/* --- axes ------------------------------------------------------------------------------------------- */

static void put_line(json *out, const char *class, double x0, double y0, double x1, double y1)
{
    json_raw(out, "<path class=\"%s\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", class, nudged(x0),
             nudged(y0), nudged(x1), nudged(y1));
}

/* Bars have the numbers of the first series below them, as many as there is room for: names are as far apart as the widest
 * of them all needs. */
static void put_bar_names(json *out, const chart *c, const frame *f)
{
    char text[TP_NUMBER_TEXT];
    const chart_series *s = c->series;
    double widest = 0, each = (f->right - f->left) / (double)s->n;
    for (int64_t k = 0; k < s->n; k++)
        widest = fmax(widest, text_width(axis_text(text, s->x[k])));
    int64_t every = (int64_t)ceil((widest + AIR) / each);
    for (int64_t k = 0; k < s->n; k += every)
        put_words(out, axis_pixel(&f->x, (double)k), f->bottom + 18, "m", axis_text(text, s->x[k]),
                  12);
}

static void put_axes(json *out, const chart *c, const frame *f)
{
    double tick[AXIS_TICKS];
    char text[TP_NUMBER_TEXT];
    int n = axis_ticks(&f->y, tick);
    for (int i = 0; i < n; i++) {
        double y = axis_pixel(&f->y, tick[i]);
        put_line(out, "g", f->left, y, f->right, y);
        put_words(out, f->left - 8, y + 4.5, "e", axis_text(text, tick[i]), TP_NUMBER_TEXT);
    }
    n = c->kind == CHART_BARS ? 0 : axis_ticks(&f->x, tick);
    for (int i = 0; i < n; i++) {
        double x = axis_pixel(&f->x, tick[i]);
        if (c->kind == CHART_POINTS)
            put_line(out, "g", x, f->top, x, f->bottom);
        put_line(out, "a", x, f->bottom, x, f->bottom + 5);
        put_words(out, x, f->bottom + 19, "m", axis_text(text, tick[i]), 12);
    }
    if (c->kind == CHART_BARS && c->n > 0)
        put_bar_names(out, c, f);
    put_line(out, "a", f->left, f->bottom, f->right, f->bottom);
    put_line(out, "a", f->left, f->top, f->left, f->bottom);
    put_words(out, (f->left + f->right) / 2, f->bottom + 40, "m", c->x_label, 60);
    put_words(out, f->left, f->top - 14, "h", c->title, 52);
    json_raw(out, "<text class=\"m\" transform=\"translate(%.1f %.1f) rotate(-90)\">", f->edge + 15,
             (f->top + f->bottom) / 2);
    markup_short(out, c->y_label, 40);
    json_raw(out, "</text>\n");
}

/* --- data ------------------------------------------------------------------------------------------- */

static void put_shape(json *out, const frame *f, double x, double y, int shape)
{
    json_raw(out, "M%.1f %.1f%s", nudged(axis_pixel(&f->x, x)), nudged(axis_pixel(&f->y, y)),
             shapes[shape % SHAPES]);
}

static bool drawn(const frame *f, const chart_series *s, int64_t k)
{
    return k < s->n && axis_takes(&f->x, s->x[k]) && axis_takes(&f->y, s->y[k]);
}

/* From k to the next gap, whose place it returns; every `apart`-th point and the last. */
static int64_t put_stretch(json *out, const frame *f, const chart_series *s, int64_t k,
                           int64_t apart)
{
    json_raw(out, "<polyline class=\"l\"");
    if (s->dash > 0)
        json_raw(out, " stroke-dasharray=\"%s\"", dashes[s->dash % DASHES]);
    json_raw(out, " points=\"");
    int64_t first = k;
    for (; drawn(f, s, k); k++)
        if ((k - first) % apart == 0 || !drawn(f, s, k + 1))
            json_raw(out, k > first ? " %.1f,%.1f" : "%.1f,%.1f",
                     nudged(axis_pixel(&f->x, s->x[k])), nudged(axis_pixel(&f->y, s->y[k])));
    json_raw(out, "\"/>\n");
    return k;
}

static void put_curve(json *out, const frame *f, const chart_series *s)
{
    int64_t apart = s->n / POINTS + 1, marks = s->n / 8 + 1;
    json_raw(out, "<g class=\"c%d\">\n", s->look % LOOKS);
    for (int64_t k = 0; k < s->n; k++)
        if (drawn(f, s, k))
            k = put_stretch(out, f, s, k, apart);
    json_raw(out, "<path class=\"k\" d=\"");
    for (int64_t k = 0; k < s->n; k++) {
        bool alone = !(k > 0 && drawn(f, s, k - 1)) && !drawn(f, s, k + 1);
        if (drawn(f, s, k) && (alone || (s->marker > 0 && (k % marks == 0 || k + 1 == s->n))))
            put_shape(out, f, s->x[k], s->y[k], s->marker > 0 ? s->marker - 1 : 0);
    }
    json_raw(out, "\"/>\n</g>\n");
}

static void put_points(json *out, const frame *f, const chart_series *s)
{
    json_raw(out, "<g class=\"c%d\"><path class=\"d\" d=\"", s->look % LOOKS);
    for (int64_t k = 0; k < s->n; k++)
        if (drawn(f, s, k))
            put_shape(out, f, s->x[k], s->y[k], s->look);
    json_raw(out, "\"/></g>\n");
}

static void put_bars(json *out, const frame *f, const chart_series *s)
{
    json_raw(out, "<g class=\"c%d\">\n", s->look % LOOKS);
    for (int64_t k = 0; k < s->n; k++) {
        double left = axis_pixel(&f->x, (double)k - 0.4),
               right = axis_pixel(&f->x, (double)k + 0.4);
        if (!axis_takes(&f->y, s->y[k]))
            continue;
        double zero = axis_pixel(&f->y, 0), y = axis_pixel(&f->y, s->y[k]);
        json_raw(out, "<rect class=\"b\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
                 nudged(left), nudged(fmin(y, zero)), nudged(right - left), nudged(fabs(y - zero)));
    }
    json_raw(out, "</g>\n");
}

static void put_chart(json *out, const chart *c, double left, double top, double height)
{
    frame f = frame_of(c, left, top, height);
    put_axes(out, c, &f);
    for (int i = 0; i < c->n; i++)
        if (c->kind == CHART_LINES)
            put_curve(out, &f, &c->series[i]);
        else if (c->kind == CHART_POINTS)
            put_points(out, &f, &c->series[i]);
        else
            put_bars(out, &f, &c->series[i]);
}

/* --- legend ------------------------------------------------------------------------------------------ */

/* Entries stand in columns as wide as the longest name, as many as fit; name: how much of it. */
typedef struct legend {
    double column;
    int columns, name;
} legend;

static legend legend_of(const chart_sheet *s, double width)
{
    legend l = {.name = (int)((width - KEY) / 8)};
    for (int i = 0; i < s->legends; i++)
        l.column = fmax(l.column, KEY + 7.5 * tp_text_columns(s->legend[i].name) + GAP);
    l.column = fmin(l.column, width);
    l.columns = s->legends > 0 ? (int)((width + GAP) / l.column) : 1;
    return l;
}

static void put_key(json *out, const chart_series *s, chart_kind kind, double x, double y)
{
    json_raw(out, "<g class=\"c%d\">", s->look % LOOKS);
    if (kind == CHART_LINES) {
        json_raw(out, "<path class=\"l\"");
        if (s->dash > 0)
            json_raw(out, " stroke-dasharray=\"%s\"", dashes[s->dash % DASHES]);
        json_raw(out, " d=\"M%.1f %.1fh34\"/>", x, y);
    }
    int shape = kind == CHART_LINES ? s->marker - 1 : s->look;
    if (shape >= 0)
        json_raw(out, "<path class=\"k\" d=\"M%.1f %.1f%s\"/>", x + 17, y, shapes[shape % SHAPES]);
    json_raw(out, "</g>");
}

/* Returns its height. Without out nothing is drawn. */
static double put_legend(json *out, const chart_sheet *s, double width)
{
    legend l = legend_of(s, width - 2 * RIGHT);
    for (int i = 0; i < s->legends && out != NULL; i++) {
        int row = i / l.columns, column = i % l.columns;
        double x = RIGHT + column * l.column, y = 20 + row * LEGEND;
        put_key(out, &s->legend[i], s->charts[0].kind, x, y - 4.5);
        put_words(out, x + KEY - 6, y, "n", s->legend[i].name, l.name);
    }
    int rows = (s->legends + l.columns - 1) / l.columns;
    return rows > 0 ? 12 + rows * LEGEND : 0;
}

void chart_svg(json *out, const chart_sheet *s)
{
    int columns = s->n < s->columns ? s->n : s->columns, rows = (s->n + columns - 1) / columns;
    double each = s->charts[0].equal ? SQUARE : HEIGHT, width = columns * (double)WIDTH;
    double top = put_legend(NULL, s, width), height = top + rows * each;
    json_raw(out,
             "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" width=\"%.0f\" "
             "height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n<title>",
             width, height, width, height);
    markup_text(out, s->title);
    json_raw(out,
             "</title>\n<style>%s</style>\n<rect class=\"p\" width=\"%.0f\" height=\"%.0f\"/>\n",
             style, width, height);
    put_legend(out, s, width);
    for (int i = 0; i < s->n; i++) {
        int row = i / columns, column = i % columns;
        put_chart(out, &s->charts[i], column * (double)WIDTH, top + row * each, each);
    }
    json_raw(out, "</svg>\n");
}
