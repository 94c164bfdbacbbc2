"""An app of plain functions, for whoever is to serve it: gunicorn's workers, Lambda's runtime."""

import os

import flask

import stepwell
import stepwell.aws_lambda
import stepwell.flask

client = stepwell.Inngest(app_id=os.environ["APP_ID"])


@client.create_function(fn_id="add", trigger=stepwell.TriggerEvent(event="sum/wanted"))
def add(ctx: stepwell.ContextSync) -> int:
    first = ctx.step.run("first", lambda: 20)
    ctx.step.sleep("rest", 10)
    second = ctx.step.run("second", lambda: 22)
    return first + second


app = flask.Flask(__name__)
stepwell.flask.serve(app, client, [add])

handler = stepwell.aws_lambda.serve(client, [add])
