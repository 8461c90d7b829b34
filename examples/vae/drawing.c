/* drawing.c: the commands that draw one picture of a run: sample, reconstruct, traverse, interpolate, manifold, scatter.
 *
 * Read next: pictures.c, walks.c, scatter.c; curves.c, which draws without a model. */
#include "commands.h"
#include "pictures.h"
#include "scatter.h"
#include "target.h"

#include <stdio.h>

/* What a command draws, and what it needs for that beside the model. */
typedef struct drawing {
    picture_maker *make; /* NULL: scatter */
    bool images, codes;  /* codes: what is measured on them (latents) */
} drawing;

static tp_status make(run *r, const drawing *d, char text[PICTURE_TEXT])
{
    latents l = {0};
    json svg = {0};
    if (d->images) {
        TP_TRY(run_data(r));
        run_note_untested(r);
    }
    TP_TRY(run_load_model(r));
    if (d->codes)
        TP_TRY(picture_measure(r, &l));
    tp_status s;
    if (d->make == NULL) {
        s = scatter_draw(r, &l, &svg);
        if (s == TP_OK)
            s = json_save(&svg, r->o.out);
        json_free(&svg);
    } else {
        s = picture_save(r, &l, d->make, r->o.out, text);
    }
    latents_free(&l);
    return s;
}

static int draw(const options *o, drawing d)
{
    run r;
    char text[PICTURE_TEXT] = "";
    bool exists = false;
    tp_status s = run_open(&r, o);
    if (s == TP_OK)
        s = target_check(o->out, d.make == NULL ? TARGET_SVG : TARGET_PNG, &exists);
    if (s == TP_OK)
        s = make(&r, &d, text);
    run_close(&r);
    int code = target_said(s, o->out, exists);
    if (code == EXIT_GOOD && *text != '\0')
        puts(text);
    return code;
}

int command_sample(const options *o)
{
    return draw(o, (drawing){.make = picture_samples});
}

int command_reconstruct(const options *o)
{
    return draw(o, (drawing){.make = picture_reconstructions, .images = true});
}

int command_manifold(const options *o)
{
    return draw(o, (drawing){.make = picture_manifold});
}

int command_traverse(const options *o)
{
    return draw(o, (drawing){.make = picture_traversals, .images = true, .codes = true});
}

int command_interpolate(const options *o)
{
    return draw(o, (drawing){.make = picture_interpolations, .images = true});
}

int command_scatter(const options *o)
{
    return draw(o, (drawing){.images = true, .codes = true});
}
