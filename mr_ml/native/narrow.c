/* Decimal numbers as integers and back. */
#include "native.h"

/* Adding and subtracting it rounds numbers below 2^51 to integers, halves to even. */
#define ROUNDER 6755399441055744.0

/* out = values * scale as integers; how many are not exactly an integer over scale, or beyond limit; and the largest
 * absolute one of the others. */
EACH_PROCESSOR static int64_t scale_down(const double *values, Py_ssize_t n, double scale, double limit, int32_t *out,
                                         int32_t *largest)
{
    int64_t wrong = 0;
    int32_t most = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        double whole = values[i] * scale + ROUNDER - ROUNDER;
        int right = (whole / scale == values[i]) & (whole <= limit) & (whole >= -limit);
        int32_t found = (int32_t)(right ? whole : 0.0), size = found < 0 ? -found : found;
        wrong += !right;
        most = size > most ? size : most;
        out[i] = found;
    }
    *largest = most;
    return wrong;
}

/* Whether all values are exactly integers over scale, none of them beyond limit. */
static int are_integers(const double *values, Py_ssize_t n, double scale, double limit)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        double whole = values[i] * scale + ROUNDER - ROUNDER;
        if (!((whole / scale == values[i]) & (whole <= limit) & (whole >= -limit)))
            return 0;
    }
    return 1;
}

PyDoc_STRVAR(first_scale_doc, "first_scale(values, scales, limit)\n\n"
                              "The number of the first of the scales of which all values are exactly integers over it,\n"
                              "none of these beyond the limit; or -1.");

static PyObject *first_scale(PyObject *self, PyObject *args)
{
    PyObject *objects[2];
    double limit;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOd", &objects[0], &objects[1], &limit))
        return NULL;
    Buffer b[2] = {{.held = 0}};
    PyObject *result = NULL;
    if (!acquire(objects[0], &b[0], 8, 0) || !acquire(objects[1], &b[1], 8, 0))
        goto done;
    if (!(limit >= 0 && limit <= INT32_MAX)) {
        PyErr_SetString(PyExc_ValueError, "a limit beyond 32 bits");
        goto done;
    }
    const double *scales = b[1].view.buf;
    Py_ssize_t n = items(&b[1]), k = 0;
    while (k < n && !are_integers(b[0].view.buf, items(&b[0]), scales[k], limit))
        k++;
    result = PyLong_FromSsize_t(k < n ? k : -1);
done:
    release(b, 2);
    return result;
}

PyDoc_STRVAR(narrow_doc, "narrow(values, scale, limit, out)\n\n"
                         "out = values * scale, int32, and the largest absolute one of them; or None if any of the values\n"
                         "is not exactly an integer over scale, or that integer is beyond the limit.");

static PyObject *narrow(PyObject *self, PyObject *args)
{
    PyObject *objects[2];
    double scale, limit;
    (void)self;
    if (!PyArg_ParseTuple(args, "OddO", &objects[0], &scale, &limit, &objects[1]))
        return NULL;
    Buffer b[2] = {{.held = 0}};
    PyObject *result = NULL;
    if (!acquire(objects[0], &b[0], 8, 0) || !acquire(objects[1], &b[1], 4, 1))
        goto done;
    Py_ssize_t n = items(&b[0]);
    if (items(&b[1]) != n || !(limit >= 0 && limit <= INT32_MAX)) {
        PyErr_SetString(PyExc_ValueError, "arrays or numbers do not fit together");
        goto done;
    }
    int32_t largest;
    int64_t wrong = scale_down(b[0].view.buf, n, scale, limit, b[1].view.buf, &largest);
    result = wrong ? Py_None : PyLong_FromLong(largest);
    if (wrong)
        Py_INCREF(result);
done:
    release(b, 2);
    return result;
}

#define WIDEN(type, widened)                                                                                           \
    {                                                                                                                  \
        const type *in = (const type *)held->items + first;                                                            \
        for (Py_ssize_t k = 0; k < n; k++)                                                                             \
            out[k] = (widened);                                                                                        \
    }

EACH_PROCESSOR void widen_values(const Held *held, Py_ssize_t first, Py_ssize_t n, double *restrict out)
{
    const double share = held->share, rest = held->rest;
    if (held->is_float && held->size == 8)
        memcpy(out, (const double *)held->items + first, (size_t)n * sizeof *out);
    else if (held->is_float)
        WIDEN(float, in[k])
    else if (held->size == 4)
        WIDEN(int32_t, in[k] * share + in[k] * rest)
    else if (held->size == 2)
        WIDEN(int16_t, in[k] * share + in[k] * rest)
    else
        WIDEN(int8_t, in[k] * share + in[k] * rest)
}

EACH_PROCESSOR void widen_ids(const Held *held, Py_ssize_t first, Py_ssize_t n, int32_t *restrict out)
{
    if (held->size == 4)
        memcpy(out, (const int32_t *)held->items + first, (size_t)n * sizeof *out);
    else
        WIDEN(uint16_t, in[k])
}

PyDoc_STRVAR(widen_doc, "widen(integers, scale, out)\n\n"
                        "out = integers / scale; signed integers of 1, 2 or 4 bytes, a scale of 1, 10, ... or 10^9.");

static PyObject *widen(PyObject *self, PyObject *args)
{
    PyObject *objects[2];
    double scale;
    (void)self;
    if (!PyArg_ParseTuple(args, "OdO", &objects[0], &scale, &objects[1]))
        return NULL;
    Buffer b[2] = {{.held = 0}};
    PyObject *result = NULL;
    if (!acquire(objects[0], &b[0], 0, 0) || !acquire(objects[1], &b[1], 8, 1))
        goto done;
    Held held = held_values(&b[0], 0, scale);
    if (items(&b[1]) != items(&b[0]) || !are_values(&held)) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    widen_values(&held, 0, items(&b[0]), b[1].view.buf);
    result = Py_None;
    Py_INCREF(result);
done:
    release(b, 2);
    return result;
}

EACH_PROCESSOR static void scale_row(double *row, Py_ssize_t d, double factor)
{
    for (Py_ssize_t j = 0; j < d; j++)
        row[j] *= factor;
}

PyDoc_STRVAR(scale_rows_doc, "scale_rows(values, is_float, scale, factors, out)\n\n"
                             "out = the rows in full, each times its factor; of as many values each as fit.");

static PyObject *scale_rows(PyObject *self, PyObject *args)
{
    PyObject *objects[3];
    int is_float;
    double scale;
    (void)self;
    if (!PyArg_ParseTuple(args, "OpdOO", &objects[0], &is_float, &scale, &objects[1], &objects[2]))
        return NULL;
    Buffer b[3] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 3; k++)
        if (!acquire(objects[k], &b[k], k ? 8 : 0, k == 2))
            goto done;
    Held held = held_values(&b[0], is_float, scale);
    Py_ssize_t n = items(&b[1]), all = items(&b[0]), d = n ? all / n : 0;
    if (d * n != all || items(&b[2]) != all || !are_values(&held)) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    const double *factors = b[1].view.buf;
    double *out = b[2].view.buf;
    for (Py_ssize_t i = 0; i < n; i++) {
        widen_values(&held, i * d, d, out + i * d);
        scale_row(out + i * d, d, factors[i]);
    }
    result = Py_None;
    Py_INCREF(result);
done:
    release(b, 3);
    return result;
}

PyMethodDef narrow_methods[] = {
    {"first_scale", first_scale, METH_VARARGS, first_scale_doc},
    {"narrow", narrow, METH_VARARGS, narrow_doc},
    {"scale_rows", scale_rows, METH_VARARGS, scale_rows_doc},
    {"widen", widen, METH_VARARGS, widen_doc},
    {NULL, NULL, 0, NULL},
};
