/* html_picture.c: the planes of a picture, drawn beside the corner of its numbers, in the shades of the tables. */
#include "autograd/explain/html.h"
#include "tensor/gather.h"

#include <math.h>
#include <stdlib.h>

enum {
    PLANES = 4,
    LEAST = 5,
    MOST = 64,
    SIDE = 84
}; /* what is drawn, in pixels; SIDE of the page */

int tp_html_shade(double v, double most)
{
    int shade = isfinite(v) && most > 0 ? (int)ceil(4 * fabs(v) / most) : 0;
    return v < 0 ? -shade : shade;
}

/* All pixels of one shade, as runs along the lines. */
static void put_shade(FILE *out, const tp_tensor *x, int64_t at, int shade, double most)
{
    int64_t rows = x->shape.dim[2], columns = x->shape.dim[3], c;
    bool any = false;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t first = 0; first < columns; first = c) {
            bool is = tp_html_shade(tp_flat(x, at + r * columns + first), most) == shade;
            for (c = first + 1; c < columns && is; c++)
                if (tp_html_shade(tp_flat(x, at + r * columns + c), most) != shade)
                    break;
            if (!is)
                continue;
            if (!any)
                fprintf(out, "<path class=\"%c%d\" d=\"", shade < 0 ? 'm' : 'p', abs(shade));
            any = true;
            fprintf(out, "M%lld %lldh%lldv1h-%lldz", (long long)first, (long long)r,
                    (long long)(c - first), (long long)(c - first));
        }
    fputs(any ? "\"/>" : "", out);
}

void tp_html_pictures(FILE *out, const tp_tensor *x, double most)
{
    const int64_t *d = x->shape.dim;
    if (x->shape.ndim != 4 || d[2] < LEAST || d[3] < LEAST || d[2] > MOST || d[3] > MOST)
        return;
    for (int64_t k = 0; k < d[1] && k < PLANES; k++) {
        int64_t longer = d[2] > d[3] ? d[2] : d[3];
        fprintf(out,
                "<svg class=\"plane\" role=\"img\" aria-label=\"[0,%lld,·,·]\" viewBox=\"0 0 %lld "
                "%lld\" width=\"%lld\" height=\"%lld\">",
                (long long)k, (long long)d[3], (long long)d[2], (long long)(SIDE * d[3] / longer),
                (long long)(SIDE * d[2] / longer));
        for (int shade = -4; shade <= 4; shade++)
            if (shade != 0)
                put_shade(out, x, k * d[2] * d[3], shade, most);
        fputs("</svg>", out);
    }
    if (d[1] > PLANES || d[0] > 1)
        fprintf(out, "<span class=\"place\">%lld of %lld planes</span>",
                (long long)(d[1] < PLANES ? d[1] : PLANES), (long long)(d[0] * d[1]));
}
