/* convolution.c: references of convolution and its two adjoints, from one sum over all that meets:
 *     image[n, g·C/G + c, i·s + u·d − p, j·s + v·d − p] · kernel[g·O/G + o, c, u, v] · position[n, g·O/G + o, i, j]
 * with one of the three left out, which is what comes out. Read next: places.c. */
#include "tests/ops/quad/quad.h"

#include <stdlib.h>

enum { IMAGE, KERNEL, POSITION, ROLES };

/* Who multiplies whom: the elements of the three that meet, one triple behind the other. */
typedef struct meetings {
    tp_shape shape[ROLES];
    int64_t stride[2], padding[2], dilation[2], groups;
    int64_t *at[ROLES], n;
} meetings;

static void meet(meetings *m, int64_t image, int64_t kernel, int64_t position)
{
    const int64_t at[ROLES] = {image, kernel, position};
    for (int r = 0; r < ROLES; r++)
        m->at[r][m->n] = at[r];
    m->n++;
}

/* All elements of the kernel's plane at one position. */
static void meet_plane(meetings *m, const int64_t *image, const int64_t *kernel,
                       const int64_t *position)
{
    int64_t x[4] = {image[0], image[1], 0, 0}, w[4] = {kernel[0], kernel[1], 0, 0};
    for (w[2] = 0; w[2] < m->shape[KERNEL].dim[2]; w[2]++)
        for (w[3] = 0; w[3] < m->shape[KERNEL].dim[3]; w[3]++) {
            bool inside = true;
            for (int a = 0; a < 2; a++) {
                x[2 + a] = position[2 + a] * m->stride[a] + w[2 + a] * m->dilation[a];
                x[2 + a] -= m->padding[a];
                inside &= x[2 + a] >= 0 && x[2 + a] < m->shape[IMAGE].dim[2 + a];
            }
            if (inside)
                meet(m, quad_flat(m->shape[IMAGE], x), quad_flat(m->shape[KERNEL], w),
                     quad_flat(m->shape[POSITION], position));
        }
}

static int64_t numel(tp_shape s)
{
    int64_t n = 1;
    for (int d = 0; d < s.ndim; d++)
        n *= s.dim[d];
    return n;
}

static void meet_all(meetings *m)
{
    int64_t channels = m->shape[KERNEL].dim[1], filters = m->shape[KERNEL].dim[0] / m->groups;
    int64_t positions = numel(m->shape[POSITION]);
    int64_t room = positions * channels * m->shape[KERNEL].dim[2] * m->shape[KERNEL].dim[3];
    for (int r = 0; r < ROLES; r++)
        m->at[r] = quad_alloc(room, sizeof(int64_t));
    for (int64_t p = 0; p < positions; p++)
        for (int64_t c = 0; c < channels; c++) {
            int64_t y[TP_MAX_DIMS];
            quad_index(m->shape[POSITION], p, y);
            meet_plane(m, (int64_t[]){y[0], y[1] / filters * channels + c}, (int64_t[]){y[1], c},
                       y);
        }
}

/* All that meets in a convolution of these shapes and options. Differences ask many thousand times for the same one. */
static const meetings *meetings_of(const meetings *wanted)
{
    static meetings last;
    bool same = true;
    for (int r = 0; r < ROLES; r++)
        same &= tp_shape_equal(wanted->shape[r], last.shape[r]);
    for (int a = 0; a < 2; a++)
        same &= wanted->stride[a] == last.stride[a] && wanted->padding[a] == last.padding[a] &&
                wanted->dilation[a] == last.dilation[a];
    if (same && wanted->groups == last.groups)
        return &last;
    for (int r = 0; r < ROLES; r++)
        free(last.at[r]);
    last = *wanted;
    meet_all(&last);
    return &last;
}

/* --- attributes ---------------------------------------------------------------------------------- */

/* Height or width; 0 in both stands for the default. */
static void read_pair(const quad_call *c, const char *h, const char *w, int64_t unset, int64_t *to)
{
    to[0] = quad_attr_int(c, h), to[1] = quad_attr_int(c, w);
    if (to[0] == 0 && to[1] == 0)
        to[0] = to[1] = unset;
}

static meetings begin(const quad_call *c)
{
    meetings m = {.groups = quad_attr_int(c, "groups")};
    read_pair(c, "stride_h", "stride_w", 1, m.stride);
    read_pair(c, "padding_h", "padding_w", 0, m.padding);
    read_pair(c, "dilation_h", "dilation_w", 1, m.dilation);
    m.groups = m.groups == 0 ? 1 : m.groups;
    return m;
}

/* --- sums ---------------------------------------------------------------------------------------- */

/* Fills y, which has the part out, from the inputs, which have the other two. */
static void add_up(quad_call *c, const meetings *wanted, int out, int first, int second)
{
    const meetings *m = meetings_of(wanted);
    int64_t most = 0;
    quad_result(c, m->shape[out], 0);
    int64_t *terms = quad_alloc(c->count, sizeof *terms);
    for (int64_t i = 0; i < m->n; i++) {
        int64_t j = m->at[out][i];
        quad term = c->x[0].at[m->at[first][i]] * c->x[1].at[m->at[second][i]];
        c->part[CURVED][j] += term;
        c->size[j] += c->sizes ? fabsq(term) : 0;
        most = ++terms[j] > most ? terms[j] : most;
    }
    c->additions = most > 0 ? most - 1 : 0;
    free(terms);
}

/* Sizes by PyTorch's documentation of Conv2d. */
static void conv2d(quad_call *c)
{
    meetings m = begin(c);
    tp_shape x = c->x[0].shape, w = c->x[1].shape, y = {4, {x.dim[0], w.dim[0], 0, 0}};
    for (int a = 0; a < 2; a++)
        y.dim[2 + a] = (x.dim[2 + a] + 2 * m.padding[a] - m.dilation[a] * (w.dim[2 + a] - 1) - 1) /
                           m.stride[a] +
                       1;
    m.shape[IMAGE] = x, m.shape[KERNEL] = w, m.shape[POSITION] = y;
    add_up(c, &m, POSITION, IMAGE, KERNEL);
}

/* And of ConvTranspose2d: what it takes are the positions of the convolution that it turns back. */
static void conv_transpose2d(quad_call *c)
{
    meetings m = begin(c);
    int64_t extra[2];
    tp_shape y = c->x[0].shape, w = c->x[1].shape, x = {4, {y.dim[0], w.dim[1] * m.groups, 0, 0}};
    read_pair(c, "output_padding_h", "output_padding_w", 0, extra);
    for (int a = 0; a < 2; a++)
        x.dim[2 + a] = (y.dim[2 + a] - 1) * m.stride[a] - 2 * m.padding[a] +
                       m.dilation[a] * (w.dim[2 + a] - 1) + extra[a] + 1;
    m.shape[IMAGE] = x, m.shape[KERNEL] = w, m.shape[POSITION] = y;
    add_up(c, &m, IMAGE, POSITION, KERNEL);
}

static void conv2d_weight(quad_call *c)
{
    meetings m = begin(c);
    tp_shape x = c->x[0].shape, y = c->x[1].shape;
    m.shape[IMAGE] = x, m.shape[POSITION] = y;
    m.shape[KERNEL] = (tp_shape){4,
                                 {y.dim[1], x.dim[1] / m.groups, quad_attr_int(c, "kernel_h"),
                                  quad_attr_int(c, "kernel_w")}};
    add_up(c, &m, KERNEL, IMAGE, POSITION);
}

const quad_op quad_convolution_ops[] = {
    {.name = "conv2d", .forward = conv2d},
    {.name = "conv_transpose2d", .forward = conv_transpose2d},
    {.name = "conv2d_weight", .forward = conv2d_weight},
    {0},
};
