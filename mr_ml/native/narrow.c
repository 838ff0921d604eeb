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

EACH_PROCESSOR static void scale_up_1(const int8_t *in, Py_ssize_t n, double scale, double *out)
{
    for (Py_ssize_t i = 0; i < n; i++)
        out[i] = in[i] / scale;
}

EACH_PROCESSOR static void scale_up_2(const int16_t *in, Py_ssize_t n, double scale, double *out)
{
    for (Py_ssize_t i = 0; i < n; i++)
        out[i] = in[i] / scale;
}

EACH_PROCESSOR static void scale_up_4(const int32_t *in, Py_ssize_t n, double scale, double *out)
{
    for (Py_ssize_t i = 0; i < n; i++)
        out[i] = in[i] / scale;
}

PyDoc_STRVAR(widen_doc, "widen(integers, scale, out)\n\nout = integers / scale; signed integers of 1, 2 or 4 bytes.");

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
    Py_ssize_t n = items(&b[0]), size = b[0].view.itemsize;
    if (items(&b[1]) != n || (size != 1 && size != 2 && size != 4)) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    if (size == 1)
        scale_up_1(b[0].view.buf, n, scale, b[1].view.buf);
    else if (size == 2)
        scale_up_2(b[0].view.buf, n, scale, b[1].view.buf);
    else
        scale_up_4(b[0].view.buf, n, scale, b[1].view.buf);
    result = Py_None;
    Py_INCREF(result);
done:
    release(b, 2);
    return result;
}

PyMethodDef narrow_methods[] = {
    {"narrow", narrow, METH_VARARGS, narrow_doc},
    {"widen", widen, METH_VARARGS, widen_doc},
    {NULL, NULL, 0, NULL},
};
