package agent

import (
	"strings"
	"time"
)

// kinds are the values that [Config] does not need, by what the agent reads them as
// (pkg/config/config.go). It refuses a configuration in which one is of another kind, such as a
// duration without a unit. They are read for that alone: some are secret.
type kinds struct {
	Settings struct {
		ClusterName, MetricsPort, HealthPort string
		Kubeconfig, SACredentialsPathPrefix  string
		SystemConfigMap                      resourceKind
		PersistentConfig                     struct{ Startup, Runtime persistentKind }
		Log                                  struct {
			Level, Formatter string
			DisableColors    bool
		}
		LifecycleServer struct {
			Enabled bool
			Port    int
		}
		InformersResyncPeriod time.Duration
	}
	ConfigWatcher struct {
		Enabled            bool
		Remote             struct{ PollInterval time.Duration }
		InCluster          struct{ InformerResyncPeriod time.Duration }
		InitialSyncTimeout time.Duration
		TmpDir             string
		Deployment         resourceKind
	}
	Plugins struct {
		IncomingWebhook struct {
			Enabled          bool
			Port             int
			InClusterBaseURL string
		}
		RestartPolicy struct {
			Type      string
			Threshold int
		}
		HealthCheckInterval time.Duration
	}
	Communications   map[string]platformKinds
	Aliases, Actions map[string]struct{ DisplayName string }
}

type resourceKind struct{ Name, Namespace string }

type persistentKind struct {
	FileName  string
	ConfigMap resourceKind
}

type platformKinds struct {
	SocketSlack struct {
		Channels           map[string]channelKinds
		BotToken, AppToken string
	}
	CloudSlack struct {
		Channels map[string]struct {
			channelKinds
			ChannelID string
			Alias     *string
		}
		Token, BotID                    string
		Server                          serverKinds
		ExecutionEventStreamingDisabled bool
	}
	Mattermost struct {
		Channels             map[string]channelKinds
		BotName, Token, Team string
	}
	Discord struct {
		Channels     map[string]numberedKinds
		Token, BotID string
	}
	CloudTeams struct {
		BotName string
		Server  serverKinds
		Teams   []struct {
			ID       string
			Channels map[string]numberedKinds
		}
	}
	Elasticsearch struct {
		Username, Password, LogLevel string
		SkipTLSVerify                bool
		AWSSigning                   struct{ AWSRegion, RoleArn string }
		Indices                      map[string]struct {
			Name, Type       string
			Shards, Replicas int
		}
	}
	Slack struct {
		Channels map[string]channelKinds
		Token    string
	}
	Teams     struct{ BotName, AppID, AppPassword, Port, MessagePath string }
	PagerDuty struct{ IntegrationKey string }
}

type numberedKinds struct {
	ID           string
	Notification struct{ Disabled bool }
}

type channelKinds struct {
	Name            string
	Notification    struct{ Disabled bool }
	MessageTriggers []struct {
		Event                   string
		Text                    struct{ Include, Exclude []string }
		Users                   struct{ Exclude []string }
		Command                 string
		Executors               []string
		ProcessedEmojiIndicator *string
	}
}

type serverKinds struct {
	DisableTransportSecurity bool
	TLS                      struct {
		// No text can be one: the agent splits it into lists before it makes bytes of it.
		CACertificate                         []byte
		UseSystemCertPool, InsecureSkipVerify bool
	}
}

// kindVersions are the values that not all agents read: see [span].
var kindVersions = map[string]span{
	"settings.lifecycleServer":         {until: "v1.9.0"},
	"settings.saCredentialsPathPrefix": {since: "v1.1.0"},
	"settings.log.formatter":           {since: "v1.2.0"},
	"plugins.incomingWebhook":          {since: "v1.4.0"},
	"plugins.restartPolicy":            {since: "v1.5.0"},
	"plugins.healthCheckInterval":      {since: "v1.5.0"},
	"configWatcher.inCluster":          {since: "v1.5.0"},
	"configWatcher.initialSyncTimeout": {until: "v1.5.0"},
	"configWatcher.tmpDir":             {until: "v1.5.0"},
	"elasticsearch.logLevel":           {since: "v1.5.0"},
	"messageTriggers":                  {since: "v1.6.0"},
	"server.disableTransportSecurity":  {since: "v1.7.0"},
	"server.tls":                       {since: "v1.7.0"},

	"cloudSlack.executionEventStreamingDisabled": {since: "v1.3.0"},
	// Of a channel of cloudSlack.
	"channelID": {since: "v1.13.0"},
	"alias":     {since: "v1.13.0"},
}

// readKind reports whether agents of a version read a value at all.
func readKind(version, setting string) bool {
	for part, versions := range kindVersions {
		if strings.Contains("."+setting+".", "."+part+".") && !versions.has(version) {
			return false
		}
	}
	parts := strings.Split(setting, ".")
	return parts[0] != "communications" || len(parts) < 3 || hasPlatform(version, parts[2])
}
